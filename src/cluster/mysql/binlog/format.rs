//! The FORMAT_DESCRIPTION event: which lengths the events behind it have, and whether they carry checksums.

use super::payload::Head;

/// Makes one for a payload's source.
pub(super) fn build(_head: &Head) -> Vec<u8> {
    Vec::new()
}
