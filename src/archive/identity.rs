//! `archive.json`: whose archive it is. Plain JSON, so that a person with nothing but `cat` can tell.

use serde::{Deserialize, Serialize};

use crate::model::clock::Millis;
use crate::model::ids::ClusterName;
use crate::storage::{ErrorKind, Storage};

use super::error::ArchiveError;
use super::layout::Layout;
use super::sealed::ArchiveId;
use super::{FIRST_VERSION, Result};

/// More than it can ever have.
const MAX_SIZE: u64 = 64 << 10;
const CHECKSUM: &str = ",\"checksum\":\"";

/// Whose archive it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveIdentity {
    /// The cluster's name.
    pub cluster: ClusterName,
    /// What tells that cluster from every other.
    pub cluster_identity: String,
    /// Its kind, as the driver calls it.
    pub kind: String,
    /// When the archive was created.
    pub created: Millis,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    format: u32,
    archive: String,
    cluster: ClusterName,
    cluster_identity: String,
    kind: String,
    created: Millis,
}

/// Only the version, to tell a newer file from a damaged one.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl ArchiveIdentity {
    /// Refuses an archive of another cluster.
    pub(super) fn must_be(&self, wanted: &ArchiveIdentity, layout: &Layout) -> Result<()> {
        let differs = |what, found: &str, wanted: &str| {
            Err(ArchiveError::Foreign {
                archive: layout.root().to_string(),
                what,
                found: found.to_owned(),
                wanted: wanted.to_owned(),
            })
        };
        if self.kind != wanted.kind {
            return differs("kind of cluster", &self.kind, &wanted.kind);
        }
        if self.cluster_identity != wanted.cluster_identity || self.cluster != wanted.cluster {
            return differs("cluster", &self.cluster_identity, &wanted.cluster_identity);
        }
        Ok(())
    }
}

/// Writes the identity, unless there is one; gives what is there then.
pub(super) fn create(
    storage: &dyn Storage,
    layout: &Layout,
    identity: &ArchiveIdentity,
) -> Result<(ArchiveId, ArchiveIdentity)> {
    if let Some(found) = read(storage, layout)? {
        return Ok(found);
    }
    let mut id = [0; 16];
    super::random(&mut id)?;
    let id = ArchiveId(id);
    let name = layout.identity()?;
    match storage.put_new(&name, encode(id, identity)?.as_bytes()) {
        Ok(()) => Ok((id, identity.clone())),
        // Another process was faster.
        Err(e) if e.kind == ErrorKind::Exists => read(storage, layout)?.ok_or(ArchiveError::Missing {
            object: name.to_string(),
        }),
        Err(e) => Err(e.into()),
    }
}

/// Reads the identity, if there is an archive. One that has lost it is an error: with a new one, all that is there would
/// belong to nobody.
pub(super) fn read(storage: &dyn Storage, layout: &Layout) -> Result<Option<(ArchiveId, ArchiveIdentity)>> {
    let name = layout.identity()?;
    let find = || match storage.read(&name, MAX_SIZE) {
        Ok(bytes) => decode(name.as_str(), &bytes).map(Some),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e.into()),
    };
    if let Some(found) = find()? {
        return Ok(Some(found));
    }
    let Some(part) = super::dirs(storage, layout.root())?.pop() else {
        return Ok(None);
    };
    // The identity comes first: another process may just have created the archive.
    if let Some(found) = find()? {
        return Ok(Some(found));
    }
    Err(ArchiveError::Lost {
        object: name.to_string(),
        why: format!("the archive holds `{part}`"),
    })
}

fn encode(id: ArchiveId, identity: &ArchiveIdentity) -> Result<String> {
    let wire = Wire {
        format: FIRST_VERSION.into(),
        archive: id.hex(),
        cluster: identity.cluster.clone(),
        cluster_identity: identity.cluster_identity.clone(),
        kind: identity.kind.clone(),
        created: identity.created,
    };
    let json = serde_json::to_string(&wire).map_err(|e| ArchiveError::Unfit {
        what: "the archive's identity",
        why: e.to_string(),
    })?;
    let body = json.strip_suffix('}').unwrap_or(&json);
    Ok(format!(
        "{body}{CHECKSUM}{}\"}}\n",
        blake3::hash(body.as_bytes()).to_hex()
    ))
}

fn decode(object: &str, bytes: &[u8]) -> Result<(ArchiveId, ArchiveIdentity)> {
    let corrupt = |why: &str| ArchiveError::corrupt(object, why);
    let text = std::str::from_utf8(bytes).map_err(|_| corrupt("it is not text"))?;
    if let Ok(Format { format }) = serde_json::from_str(text)
        && format > FIRST_VERSION.into()
    {
        return Err(ArchiveError::TooNew {
            object: object.to_owned(),
            found: format,
            known: FIRST_VERSION.into(),
        });
    }
    let (body, sum) = text
        .rsplit_once(CHECKSUM)
        .ok_or_else(|| corrupt("it has no checksum"))?;
    if sum != format!("{}\"}}\n", blake3::hash(body.as_bytes()).to_hex()) {
        return Err(corrupt("its checksum is wrong"));
    }
    let wire: Wire = serde_json::from_str(&format!("{body}}}")).map_err(|e| corrupt(&e.to_string()))?;
    let id = ArchiveId::from_hex(&wire.archive).ok_or_else(|| corrupt("the archive's id is not one"))?;
    let identity = ArchiveIdentity {
        cluster: wire.cluster,
        cluster_identity: wire.cluster_identity,
        kind: wire.kind,
        created: wire.created,
    };
    Ok((id, identity))
}
