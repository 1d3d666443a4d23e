//! The `jobs` folder.
