//! The embedded cluster.

use super::Codec;

/// The codec of embedded clusters' records.
pub fn codec() -> &'static dyn Codec {
    todo!()
}
