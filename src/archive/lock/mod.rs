//! The lock of an archive: two processes never write it at once.
//!
//! `state/lock` names the holder, a heartbeat and the fencing epoch, which grows with every taking. The holder beats
//! every 20 s; one that has not for 60 s may be taken over. Before each publishing step the holder reads the lock
//! again ([`ArchiveLock::check`]): one that was stopped and taken over meanwhile is fenced and publishes nothing.
//!
//! *Invariant: only compare-and-swap changes the lock, so of two takers one wins; expiry is judged by watching the
//! heartbeat stand still, never by comparing two hosts' clocks alone.*

mod holder;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub use holder::Holder;

use crate::model::clock::{Clock, Millis};
use crate::storage::Version;

use super::error::ArchiveError;
use super::sealed::ArchiveId;
use super::state::{StateDoc, encode};
use super::{Archive, Result};

/// How often the holder beats and when others may take over.
#[derive(Clone, Copy, Debug)]
pub struct LockTiming {
    /// Between two heartbeats.
    pub beat: Duration,
    /// Without a heartbeat for so long, it may be taken over.
    pub expiry: Duration,
}

impl Default for LockTiming {
    fn default() -> Self {
        LockTiming {
            beat: Duration::from_secs(20),
            expiry: Duration::from_secs(60),
        }
    }
}

/// Why the lock is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("the archive is being written by {holder}, since {}; last heartbeat {}", since.utc(), heartbeat.utc())]
    Held {
        /// Who.
        holder: Box<Holder>,
        /// Since when, by the holder's clock.
        since: Millis,
        /// Its last sign of life, by the holder's clock.
        heartbeat: Millis,
    },
    /// It was ours and is no longer.
    #[error("this process lost the lock of the archive{}: nothing more is written; start again", by(.0))]
    Fenced(Option<Box<Holder>>),
    /// The lock of another archive was shown.
    #[error("the lock is of another archive")]
    OtherArchive,
    /// The lock could not be read or written.
    #[error("the lock of the archive cannot be used")]
    Archive(#[source] Box<ArchiveError>),
}

fn by(holder: &Option<Box<Holder>>) -> String {
    holder
        .as_ref()
        .map_or_else(String::new, |holder| format!(" to {holder}"))
}

impl From<ArchiveError> for LockError {
    fn from(e: ArchiveError) -> Self {
        match e {
            ArchiveError::Lock(e) => e,
            e => LockError::Archive(Box::new(e)),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct LockDoc {
    /// Grows with every taking and never goes back.
    epoch: u64,
    /// How often the holder has beaten: what others watch.
    beats: u64,
    held: Option<Held>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    holder: Holder,
    since: Millis,
    heartbeat: Millis,
}

impl StateDoc for LockDoc {
    const NAME: &'static str = "lock";
    // An older copy would name a holder of long ago.
    const MEND: &'static str = "when no brine works on this archive, delete it: a new one is made";
}

/// What the lock says at this moment, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockStatus {
    /// Who has it.
    pub holder: Holder,
    /// Since when.
    pub since: Millis,
    /// The last sign of life.
    pub heartbeat: Millis,
    /// The holder was a process of this host and boot, and is gone.
    pub gone: bool,
}

/// Proof of holding the lock of an archive; released when dropped.
pub struct ArchiveLock {
    shared: Arc<Shared>,
    stop: Option<Sender<()>>,
    heart: Option<JoinHandle<()>>,
}

struct Shared {
    archive: Archive,
    clock: Arc<dyn Clock>,
    timing: LockTiming,
    epoch: u64,
    holder: Holder,
    fenced: AtomicBool,
    /// When we beat last; also keeps two threads from beating at once.
    last: Mutex<Instant>,
}

impl ArchiveLock {
    /// Takes the lock, or says who has it. A holder of this host and boot whose process is gone is taken over at
    /// once; one whose heartbeat is old is watched for a little more than a beat first.
    pub fn take(archive: &Archive, holder: Holder, clock: Arc<dyn Clock>) -> Result<ArchiveLock, LockError> {
        Self::take_with(archive, holder, clock, LockTiming::default())
    }

    /// [`ArchiveLock::take`] with other timing: for tests.
    pub fn take_with(
        archive: &Archive,
        holder: Holder,
        clock: Arc<dyn Clock>,
        timing: LockTiming,
    ) -> Result<ArchiveLock, LockError> {
        loop {
            let (doc, version, _) = archive.read_doc::<LockDoc>()?;
            if let Some(held) = &doc.held
                && !held.holder.is_gone()
                && !expired(archive, &doc, held, &*clock, timing)?
            {
                return Err(held_by(held));
            }
            if let Some(lock) = Self::swap_in(archive, &doc, version.as_ref(), &holder, &clock, timing)? {
                return Ok(lock);
            }
            // Somebody changed the lock in between: look again. If it was taken, that ends with `Held`.
        }
    }

    fn swap_in(
        archive: &Archive,
        found: &LockDoc,
        version: Option<&Version>,
        holder: &Holder,
        clock: &Arc<dyn Clock>,
        timing: LockTiming,
    ) -> Result<Option<ArchiveLock>, LockError> {
        let now = clock.now();
        let doc = LockDoc {
            epoch: found.epoch.saturating_add(1),
            beats: found.beats.wrapping_add(1),
            held: Some(Held {
                holder: holder.clone(),
                since: now,
                heartbeat: now,
            }),
        };
        let before = Instant::now();
        let json = encode(LockDoc::NAME, &doc)?;
        if archive.swap_doc(LockDoc::NAME, version, doc.epoch, &json)?.is_none() {
            return Ok(None);
        }
        let shared = Arc::new(Shared {
            archive: archive.clone(),
            clock: clock.clone(),
            timing,
            epoch: doc.epoch,
            holder: holder.clone(),
            fenced: AtomicBool::new(false),
            last: Mutex::new(before),
        });
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let heart = heart(shared.clone(), stopped).map_err(|source| ArchiveError::Thread {
            doing: "keep the archive's lock",
            source,
        })?;
        Ok(Some(ArchiveLock {
            shared,
            stop: Some(stop),
            heart: Some(heart),
        }))
    }

    /// The fencing epoch: greater than that of every earlier holder.
    pub fn epoch(&self) -> u64 {
        self.shared.epoch
    }

    /// Who holds it: us.
    pub fn holder(&self) -> &Holder {
        &self.shared.holder
    }

    /// Reads the lock again; an error when it is no longer ours. To be called before each publishing step.
    pub fn check(&self) -> Result<(), LockError> {
        self.shared.check()
    }

    pub(super) fn check_for(&self, archive: ArchiveId) -> Result<(), LockError> {
        if self.shared.archive.id() != archive {
            return Err(LockError::OtherArchive);
        }
        self.check()
    }

    /// Who holds the lock of an archive, if anybody.
    pub fn status(archive: &Archive) -> Result<Option<LockStatus>> {
        let (doc, ..) = archive.read_doc::<LockDoc>()?;
        Ok(doc.held.map(|held| LockStatus {
            gone: held.holder.is_gone(),
            holder: held.holder,
            since: held.since,
            heartbeat: held.heartbeat,
        }))
    }

    /// Breaks the lock by hand, if `holder` still has it; that holder is fenced then. Gives whether it was broken.
    pub fn break_lock(archive: &Archive, holder: &Holder) -> Result<bool> {
        let (mut doc, version, _) = archive.read_doc::<LockDoc>()?;
        if doc.held.as_ref().map(|held| &held.holder) != Some(holder) {
            return Ok(false);
        }
        doc.held = None;
        doc.epoch = doc.epoch.saturating_add(1);
        let json = encode(LockDoc::NAME, &doc)?;
        Ok(archive
            .swap_doc(LockDoc::NAME, version.as_ref(), doc.epoch, &json)?
            .is_some())
    }
}

impl Drop for ArchiveLock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(heart) = self.heart.take() {
            // A heart that panicked has nothing left to say.
            let _ = heart.join();
        }
        self.shared.release();
    }
}

fn held_by(held: &Held) -> LockError {
    LockError::Held {
        holder: Box::new(held.holder.clone()),
        since: held.since,
        heartbeat: held.heartbeat,
    }
}

/// Whether a holder has given no sign of life for the expiry. The clocks of two hosts may differ, so an old
/// heartbeat is only the reason to watch for a beat and a quarter whether it moves.
fn expired(
    archive: &Archive,
    doc: &LockDoc,
    held: &Held,
    clock: &dyn Clock,
    timing: LockTiming,
) -> Result<bool, LockError> {
    let age = clock.now().since(held.heartbeat);
    if age < timing.expiry.as_millis() as i64 {
        return Ok(false);
    }
    let watch = timing.beat + timing.beat / 4;
    let began = Instant::now();
    while began.elapsed() < watch {
        std::thread::sleep((watch / 50).min(Duration::from_millis(500)));
        if archive.read_doc::<LockDoc>()?.0 != *doc {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Beats until the lock is dropped or lost.
fn heart(shared: Arc<Shared>, stopped: crossbeam_channel::Receiver<()>) -> std::io::Result<JoinHandle<()>> {
    let beat = move || {
        while stopped.recv_timeout(shared.timing.beat) == Err(RecvTimeoutError::Timeout) {
            // A storage that fails now is tried at the next beat; `check` tells the holder.
            if let Err(LockError::Fenced(_)) = shared.beat() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("archive-lock".to_owned()).spawn(beat)
}

impl Shared {
    fn check(&self) -> Result<(), LockError> {
        if self.fenced.load(Ordering::SeqCst) {
            return Err(self.who_fenced());
        }
        let late = self.last.lock().elapsed() >= self.timing.beat;
        if late { self.beat() } else { self.still_ours().map(drop) }
    }

    /// The lock as it is now, if it is ours.
    fn still_ours(&self) -> Result<(LockDoc, Option<Version>), LockError> {
        let (doc, version, _) = self.archive.read_doc::<LockDoc>()?;
        let ours = doc.epoch == self.epoch && doc.held.as_ref().is_some_and(|held| held.holder == self.holder);
        if ours {
            return Ok((doc, version));
        }
        self.fenced.store(true, Ordering::SeqCst);
        Err(LockError::Fenced(doc.held.map(|held| Box::new(held.holder))))
    }

    fn who_fenced(&self) -> LockError {
        let held = self.archive.read_doc::<LockDoc>().ok().and_then(|(doc, ..)| doc.held);
        LockError::Fenced(held.map(|held| Box::new(held.holder)))
    }

    fn beat(&self) -> Result<(), LockError> {
        let mut last = self.last.lock();
        let before = Instant::now();
        let (mut doc, version) = self.still_ours()?;
        doc.beats = doc.beats.wrapping_add(1);
        if let Some(held) = &mut doc.held {
            held.heartbeat = self.clock.now();
        }
        let json = encode(LockDoc::NAME, &doc)?;
        match self
            .archive
            .swap_doc(LockDoc::NAME, version.as_ref(), self.epoch, &json)?
        {
            Some(_) => {
                *last = before;
                Ok(())
            }
            // Only a taker or a breaker changes a lock that is ours.
            None => self.still_ours().map(drop),
        }
    }

    /// Lets go, if it is still ours. When that fails the lock expires by itself.
    fn release(&self) {
        let Ok((mut doc, version)) = self.still_ours() else {
            return;
        };
        doc.held = None;
        if let Ok(json) = encode(LockDoc::NAME, &doc) {
            let _ = self
                .archive
                .swap_doc(LockDoc::NAME, version.as_ref(), self.epoch, &json);
        }
    }
}
