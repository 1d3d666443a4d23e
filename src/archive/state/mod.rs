//! The few objects that change: documents under `state/`, each a sealed file replaced whole by compare-and-swap.

mod docs;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use docs::{
    Adopted, AdoptedDoc, Incarnation, IncarnationsDoc, KeysDoc, LogDoc, ProofsDoc, ProtectDoc, WayBack, WayBackKind,
};

use crate::model::crash::crash_point;
use crate::storage::{ErrorKind, ObjectName, Version};

use super::error::ArchiveError;
use super::lock::ArchiveLock;
use super::sealed::{ObjectKind, open_bytes, seal_bytes};
use super::{Archive, Result};

/// The most bytes of a document.
const MAX_DOC: usize = 64 << 20;
/// How often a change is tried when others change the same document.
const TRIES: u32 = 16;

/// A document under `state/`. One that does not exist is its default.
pub trait StateDoc: Default + Serialize + DeserializeOwned {
    /// Its name component.
    const NAME: &'static str;

    /// What to do about one that is damaged.
    const MEND: &'static str = "put it back from a copy of this storage";

    /// What shows that there must be one, although none is found; asked only then.
    fn traces(_archive: &Archive) -> Result<Option<String>> {
        Ok(None)
    }
}

/// A value with the version it was read at.
#[derive(Clone, Debug)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Its version; `None` when there is no object.
    pub version: Option<Version>,
}

impl Archive {
    /// Reads a document.
    pub fn state<T: StateDoc>(&self) -> Result<Versioned<T>> {
        let (value, version, _) = self.read_doc::<T>()?;
        Ok(Versioned { value, version })
    }

    /// Changes a document; `change` may be called again when somebody else was faster. A change that changes
    /// nothing writes nothing.
    pub fn update<T: StateDoc, R>(&self, lock: &ArchiveLock, mut change: impl FnMut(&mut T) -> R) -> Result<(T, R)> {
        for _ in 0..TRIES {
            let epoch = self.guard(lock)?;
            let (mut value, version, before) = self.read_doc::<T>()?;
            let answer = change(&mut value);
            let json = encode(T::NAME, &value)?;
            if json == before {
                return Ok((value, answer));
            }
            crash_point("archive.state.before");
            if self.swap_doc(T::NAME, version.as_ref(), epoch, &json)?.is_some() {
                crash_point("archive.state.after");
                return Ok((value, answer));
            }
        }
        Err(ArchiveError::Contended {
            object: self.layout().state(T::NAME)?.to_string(),
            tries: TRIES,
        })
    }

    /// The value, its version and its JSON.
    pub(super) fn read_doc<T: StateDoc>(&self) -> Result<(T, Option<Version>, Vec<u8>)> {
        let name = self.layout().state(T::NAME)?;
        let Some((bytes, version)) = self.store().get_versioned(&name, MAX_DOC as u64)? else {
            if let Some(why) = T::traces(self)? {
                let object = name.to_string();
                return Err(ArchiveError::Lost { object, why });
            }
            let value = T::default();
            let json = encode(T::NAME, &value)?;
            return Ok((value, None, json));
        };
        let damaged = |why: String| ArchiveError::corrupt(&name, format!("{why}; {}", T::MEND));
        let json = self.open_doc(&name, bytes).map_err(|e| match e {
            ArchiveError::Corrupt { why, .. } => damaged(why),
            other => other,
        })?;
        let value = serde_json::from_slice(&json).map_err(|e| damaged(e.to_string()))?;
        Ok((value, Some(version), json))
    }

    fn open_doc(&self, name: &ObjectName, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let within = self.within(name);
        Ok(open_bytes(bytes, name.as_str(), ObjectKind::State, self.id(), &within, MAX_DOC)?.0)
    }

    /// Replaces a document; `None` when somebody else has changed it.
    pub(super) fn swap_doc(
        &self,
        document: &str,
        expected: Option<&Version>,
        epoch: u64,
        json: &[u8],
    ) -> Result<Option<Version>> {
        let name = self.layout().state(document)?;
        let within = self.within(&name);
        let bytes = seal_bytes(ObjectKind::State, self.id(), &within, super::salt()?, epoch, json)?;
        match self.store().compare_and_swap(&name, expected, &bytes) {
            Ok(version) => Ok(Some(version)),
            Err(e) if e.kind == ErrorKind::Conflict => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

pub(super) fn encode<T: Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(value).map_err(|e| ArchiveError::Unfit {
        what,
        why: e.to_string(),
    })?;
    if json.len() > MAX_DOC {
        let why = format!("it has {} bytes, more than {MAX_DOC}", json.len());
        return Err(ArchiveError::Unfit { what, why });
    }
    Ok(json)
}
