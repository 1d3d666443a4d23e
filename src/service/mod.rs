//! The `service` folder.
