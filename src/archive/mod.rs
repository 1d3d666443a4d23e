//! The `archive` folder.
