//! The statement by which a restore writes itself into the log of the server that it changed.

use crate::cluster::mysql::OWN_DB;
use crate::model::tso::Tso;

/// The table whose comment carries it.
pub const TABLE: &str = "restores";
const WORDS: &str = "brine restore ";

/// The comment that it gives that table.
pub fn comment(id: &str, at: Tso) -> String {
    let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    format!("{WORDS}{id} {at}")
}

/// The statement of a restore.
pub fn statement(id: &str, at: Tso) -> String {
    format!("ALTER TABLE {OWN_DB}.{TABLE} COMMENT='{}'", comment(id, at))
}

/// The restore's id and time, if this is exactly such a statement.
pub fn parse(sql: &str) -> Option<(&str, Tso)> {
    let rest = sql
        .strip_prefix("ALTER TABLE ")?
        .strip_prefix(OWN_DB)?
        .strip_prefix('.')?;
    let rest = rest.strip_prefix(TABLE)?.strip_prefix(" COMMENT='")?;
    let (id, at) = rest.strip_prefix(WORDS)?.strip_suffix('\'')?.split_once(' ')?;
    Some((id, at.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_statement_and_no_other() {
        let at = Tso(123_456_789_012_345_678);
        assert_eq!(parse(&statement("r-1f", at)), Some(("r-1f", at)));
        assert_eq!(parse("ALTER TABLE _brine.restores COMMENT='brine restore x'"), None);
        assert_eq!(parse("ALTER TABLE _brine.restores ADD c int"), None);
        assert_eq!(parse(&statement("a'; DROP", at)).map(|p| p.0), Some("aDROP"));
    }
}
