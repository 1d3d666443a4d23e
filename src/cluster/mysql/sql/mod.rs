//! As much of SQL as is needed: tokens, which objects a statement is about, and giving them other names.

mod classify;
pub mod fills;
pub mod lacks;
mod reader;
pub mod rename;
pub mod statement;
pub mod tokens;
pub mod view;
pub mod zoned;

use super::wire::Flavor;

/// What the text of a statement depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// `"` quotes names.
    pub ansi_quotes: bool,
    /// `\` is an ordinary character in a string.
    pub no_backslash_escapes: bool,
    /// Whose SQL it is: of `/*! */` and `/*M! */`.
    pub flavor: Flavor,
}

impl Modes {
    /// Of a session's `sql_mode` as the log has it.
    pub fn of(sql_mode: u64, flavor: Flavor) -> Modes {
        Modes {
            ansi_quotes: sql_mode & 4 != 0,
            no_backslash_escapes: sql_mode & 0x10_0000 != 0,
            flavor,
        }
    }
}
