//! The `engine` folder.
