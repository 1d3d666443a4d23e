//! The restorable window.
