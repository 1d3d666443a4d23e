//! The `tui` folder.
