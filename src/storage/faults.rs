//! Failing on purpose: a wrapper that makes chosen calls go wrong, for tests.

use std::sync::Arc;

use parking_lot::Mutex;

use super::count::Call;
use super::error::{ErrorKind, StorageError};
use super::name::{DirName, ObjectName};
use super::{ObjectInfo, ObjectReader, ObjectWriter, Storage, StorageFacts, Version};

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails and does nothing.
    Fail(ErrorKind),
    /// It does its work, but the answer is lost.
    LostAnswer,
    /// A read gives half of the bytes.
    ShortRead,
    /// A read gives bytes of which this bit is flipped.
    FlipBit(usize),
}

/// Which calls go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultRule {
    /// Only this kind of call; `None` any.
    pub call: Option<Call>,
    /// The first one that goes wrong, counted from 1 among these.
    pub nth: u64,
    /// How many go wrong from there on.
    pub times: u64,
    /// How.
    pub fault: Fault,
}

struct Armed {
    rule: FaultRule,
    seen: u64,
}

#[derive(Default)]
struct Plan {
    rules: Vec<Armed>,
    /// Changing calls that still work; `None` without limit.
    changes_left: Option<u64>,
    changes: u64,
    calls: u64,
}

/// A storage of which chosen calls fail. Clones share the plan.
#[derive(Clone)]
pub struct Faults {
    inner: Arc<dyn Storage>,
    plan: Arc<Mutex<Plan>>,
}

impl Faults {
    /// Wraps a storage; nothing fails yet.
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        let plan = Arc::default();
        Faults { inner, plan }
    }

    /// Adds a rule.
    pub fn add(&self, rule: FaultRule) {
        self.plan.lock().rules.push(Armed { rule, seen: 0 });
    }

    /// Makes the `nth` call from now on (from 1) fail with `kind`.
    pub fn fail_call(&self, nth: u64, kind: ErrorKind) {
        let fault = Fault::Fail(kind);
        let (call, times) = (None, 1);
        self.add(FaultRule {
            call,
            nth,
            times,
            fault,
        });
    }

    /// After `n` more changing calls no change works any more, as if the process had crashed.
    pub fn crash_after(&self, n: u64) {
        let mut plan = self.plan.lock();
        plan.changes_left = Some(n);
    }

    /// Everything works again; counts begin anew.
    pub fn clear(&self) {
        *self.plan.lock() = Plan::default();
    }

    /// Calls since the last [`Faults::clear`].
    pub fn calls(&self) -> u64 {
        self.plan.lock().calls
    }

    /// Changing calls since the last [`Faults::clear`].
    pub fn changes(&self) -> u64 {
        self.plan.lock().changes
    }

    /// Counts a call and says how it goes wrong.
    fn pass(&self, call: Call) -> Option<Fault> {
        let mut plan = self.plan.lock();
        plan.calls += 1;
        if call.changes() {
            plan.changes += 1;
            match &mut plan.changes_left {
                Some(0) => return Some(Fault::Fail(ErrorKind::Other)),
                Some(left) => *left -= 1,
                None => {}
            }
        }
        plan.rules.iter_mut().find_map(|armed| armed.hit(call))
    }

    fn run<T>(
        &self,
        call: Call,
        doing: &'static str,
        object: &dyn ToString,
        work: impl FnOnce() -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        match self.pass(call) {
            Some(Fault::Fail(kind)) => Err(StorageError::new(kind, doing, object.to_string()).detail("injected")),
            Some(Fault::LostAnswer) => {
                // Whatever came of it is lost too.
                let _ = work();
                Err(StorageError::new(ErrorKind::Temporary, doing, object.to_string()).detail("injected: answer lost"))
            }
            Some(Fault::ShortRead | Fault::FlipBit(_)) | None => work(),
        }
    }
}

impl Armed {
    fn hit(&mut self, call: Call) -> Option<Fault> {
        if self.rule.call.is_some_and(|wanted| wanted != call) {
            return None;
        }
        self.seen += 1;
        let wrong = self.seen >= self.rule.nth && self.seen - self.rule.nth < self.rule.times;
        wrong.then_some(self.rule.fault)
    }
}

impl Storage for Faults {
    fn put_new(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StorageError> {
        self.run(Call::PutNew, "create", name, || self.inner.put_new(name, bytes))
    }

    fn create(&self, name: &ObjectName) -> Result<Box<dyn ObjectWriter>, StorageError> {
        let inner = self.run(Call::Create, "create", name, || self.inner.create(name))?;
        let (faults, name) = (self.clone(), name.clone());
        Ok(Box::new(FaultyWriter { inner, faults, name }))
    }

    fn open(&self, name: &ObjectName) -> Result<Box<dyn ObjectReader>, StorageError> {
        let inner = self.run(Call::Open, "open", name, || self.inner.open(name))?;
        let (faults, name) = (self.clone(), name.clone());
        Ok(Box::new(FaultyReader { inner, faults, name }))
    }

    fn size(&self, name: &ObjectName) -> Result<Option<u64>, StorageError> {
        self.run(Call::Size, "look at", name, || self.inner.size(name))
    }

    fn list(&self, dir: &DirName, after: Option<&str>, limit: usize) -> Result<Vec<ObjectInfo>, StorageError> {
        self.run(Call::List, "list", dir, || self.inner.list(dir, after, limit))
    }

    fn list_dirs(&self, dir: &DirName, after: Option<&str>, limit: usize) -> Result<Vec<String>, StorageError> {
        self.run(Call::ListDirs, "list", dir, || self.inner.list_dirs(dir, after, limit))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.run(Call::Delete, "delete", name, || self.inner.delete(name))
    }

    fn get_versioned(&self, name: &ObjectName, max: u64) -> Result<Option<(Vec<u8>, Version)>, StorageError> {
        self.run(Call::GetVersioned, "read", name, || self.inner.get_versioned(name, max))
    }

    fn compare_and_swap(
        &self,
        name: &ObjectName,
        expected: Option<&Version>,
        bytes: &[u8],
    ) -> Result<Version, StorageError> {
        self.run(Call::CompareAndSwap, "replace", name, || {
            self.inner.compare_and_swap(name, expected, bytes)
        })
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn facts(&self) -> StorageFacts {
        self.inner.facts()
    }
}

struct FaultyWriter {
    inner: Box<dyn ObjectWriter>,
    faults: Faults,
    name: ObjectName,
}

impl ObjectWriter for FaultyWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let FaultyWriter { inner, faults, name } = self;
        faults.run(Call::Write, "write", name, || inner.write(bytes))
    }

    fn finish(self: Box<Self>) -> Result<(), StorageError> {
        let FaultyWriter { inner, faults, name } = *self;
        faults.run(Call::Finish, "create", &name, || inner.finish())
    }
}

struct FaultyReader {
    inner: Box<dyn ObjectReader>,
    faults: Faults,
    name: ObjectName,
}

impl ObjectReader for FaultyReader {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_at(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        let fault = self.faults.pass(Call::ReadAt);
        let failed = |kind| Err(StorageError::new(kind, "read", &self.name).detail("injected"));
        match fault {
            Some(Fault::Fail(kind)) => return failed(kind),
            Some(Fault::LostAnswer) => return failed(ErrorKind::Temporary),
            _ => {}
        }
        let mut bytes = self.inner.read_at(offset, len)?;
        match fault {
            Some(Fault::ShortRead) => bytes.truncate(len / 2),
            Some(Fault::FlipBit(bit)) if !bytes.is_empty() => {
                let at = (bit / 8) % bytes.len();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            _ => {}
        }
        Ok(bytes)
    }
}
