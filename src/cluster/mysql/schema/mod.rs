//! Definitions of tables and of everything else, as the server shows them.

pub mod definition;
pub mod table;
