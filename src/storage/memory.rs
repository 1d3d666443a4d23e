//! A storage in memory: for tests and for the plan of a format change.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::Mutex;

use super::error::{ErrorKind, StorageError};
use super::name::{DirName, ObjectName};
use super::{ObjectInfo, ObjectReader, ObjectWriter, Storage, StorageFacts, Version};

#[derive(Clone)]
struct Object {
    bytes: Arc<[u8]>,
    version: u64,
}

#[derive(Default)]
struct Objects {
    map: BTreeMap<String, Object>,
    versions: u64,
}

impl Objects {
    fn put(&mut self, name: &ObjectName, bytes: Arc<[u8]>) -> Version {
        self.versions += 1;
        let version = self.versions;
        self.map.insert(name.as_str().to_owned(), Object { bytes, version });
        Version(version.to_string())
    }
}

/// A storage in memory; clones share it.
#[derive(Clone, Default)]
pub struct Memory {
    objects: Arc<Mutex<Objects>>,
}

impl Memory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The names of all objects, in order: for tests.
    pub fn names(&self) -> Vec<String> {
        self.objects.lock().map.keys().cloned().collect()
    }

    /// Replaces or adds an object behind the archive's back: for tests of damage.
    pub fn overwrite(&self, name: &ObjectName, bytes: &[u8]) {
        self.objects.lock().put(name, bytes.into());
    }

    fn get(&self, name: &ObjectName) -> Option<Object> {
        self.objects.lock().map.get(name.as_str()).cloned()
    }

    fn publish(&self, name: &ObjectName, bytes: Arc<[u8]>) -> Result<(), StorageError> {
        let mut objects = self.objects.lock();
        if objects.map.contains_key(name.as_str()) {
            return Err(StorageError::new(ErrorKind::Exists, "create", name));
        }
        objects.put(name, bytes);
        Ok(())
    }

    /// Walks the names below `dir`, in order, from just after `after` on.
    fn below(&self, dir: &DirName, mut each: impl FnMut(&str, &Object) -> bool) {
        let prefix = if dir.is_root() {
            String::new()
        } else {
            format!("{}/", dir.as_str())
        };
        let objects = self.objects.lock();
        let range = objects
            .map
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        for (name, object) in range {
            let Some(rest) = name.strip_prefix(&prefix) else { break };
            if !each(rest, object) {
                break;
            }
        }
    }
}

impl Storage for Memory {
    fn put_new(&self, name: &ObjectName, bytes: &[u8]) -> Result<(), StorageError> {
        self.publish(name, bytes.into())
    }

    fn create(&self, name: &ObjectName) -> Result<Box<dyn ObjectWriter>, StorageError> {
        Ok(Box::new(MemoryWriter {
            storage: self.clone(),
            name: name.clone(),
            bytes: Vec::new(),
        }))
    }

    fn open(&self, name: &ObjectName) -> Result<Box<dyn ObjectReader>, StorageError> {
        let object = self
            .get(name)
            .ok_or_else(|| StorageError::new(ErrorKind::NotFound, "open", name))?;
        Ok(Box::new(MemoryReader {
            name: name.clone(),
            bytes: object.bytes,
        }))
    }

    fn size(&self, name: &ObjectName) -> Result<Option<u64>, StorageError> {
        Ok(self.get(name).map(|object| object.bytes.len() as u64))
    }

    fn list(&self, dir: &DirName, after: Option<&str>, limit: usize) -> Result<Vec<ObjectInfo>, StorageError> {
        let mut found = Vec::new();
        self.below(dir, |rest, object| {
            if found.len() < limit && !rest.contains('/') && after.is_none_or(|after| rest > after) {
                found.push((rest.to_owned(), object.bytes.len() as u64));
            }
            found.len() < limit
        });
        let info = |(file, size): (String, u64)| {
            let name = dir.object(&file)?;
            Ok(ObjectInfo { name, size })
        };
        found.into_iter().map(info).collect()
    }

    fn list_dirs(&self, dir: &DirName, after: Option<&str>, limit: usize) -> Result<Vec<String>, StorageError> {
        // Names sort by bytes, so `a-b/x` comes before `a/x`: collect first, then cut.
        let mut found = BTreeSet::new();
        self.below(dir, |rest, _| {
            if let Some((part, _)) = rest.split_once('/')
                && after.is_none_or(|after| part > after)
            {
                found.insert(part.to_owned());
            }
            true
        });
        Ok(found.into_iter().take(limit).collect())
    }

    fn delete(&self, name: &ObjectName) -> Result<(), StorageError> {
        self.objects.lock().map.remove(name.as_str());
        Ok(())
    }

    fn get_versioned(&self, name: &ObjectName, max: u64) -> Result<Option<(Vec<u8>, Version)>, StorageError> {
        let Some(object) = self.get(name) else { return Ok(None) };
        if object.bytes.len() as u64 > max {
            return Err(StorageError::new(ErrorKind::TooLarge, "read", name));
        }
        Ok(Some((object.bytes.to_vec(), Version(object.version.to_string()))))
    }

    fn compare_and_swap(
        &self,
        name: &ObjectName,
        expected: Option<&Version>,
        bytes: &[u8],
    ) -> Result<Version, StorageError> {
        let mut objects = self.objects.lock();
        let found = objects.map.get(name.as_str()).map(|o| Version(o.version.to_string()));
        if found.as_ref() != expected {
            return Err(StorageError::new(ErrorKind::Conflict, "replace", name));
        }
        Ok(objects.put(name, bytes.into()))
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn facts(&self) -> StorageFacts {
        StorageFacts::default()
    }
}

struct MemoryWriter {
    storage: Memory,
    name: ObjectName,
    bytes: Vec<u8>,
}

impl ObjectWriter for MemoryWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), StorageError> {
        self.storage.publish(&self.name, self.bytes.into())
    }
}

struct MemoryReader {
    name: ObjectName,
    bytes: Arc<[u8]>,
}

impl ObjectReader for MemoryReader {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        let start = usize::try_from(offset).ok();
        start
            .and_then(|start| self.bytes.get(start..start.checked_add(len)?))
            .map(<[u8]>::to_vec)
            .ok_or_else(|| past_end(&self.name, offset, len))
    }
}

/// The error of a read past an object's end.
pub(super) fn past_end(name: &ObjectName, offset: u64, len: usize) -> StorageError {
    StorageError::new(ErrorKind::Corrupt, "read", name)
        .detail(format!("it ends before byte {}", offset.saturating_add(len as u64)))
}
