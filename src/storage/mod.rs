//! The `storage` folder.
