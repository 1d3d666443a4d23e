//! The `demo` folder.
