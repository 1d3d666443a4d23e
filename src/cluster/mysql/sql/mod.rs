//! As much of SQL as is needed: tokens, which objects a statement is about, and giving them other names.
