//! The ways in which accounts log in: each is a plugin, which a server has or has not.

use std::collections::BTreeSet;

use super::schema::definition::{DefinitionText, kind};
use super::sql::Modes;
use super::sql::tokens::{Token, TokenKind, words};
use super::wire::{Conn, Flavor, WireError};
use crate::cluster::ClusterError;
use crate::model::definition::Definition;

/// The accounts of a backup whose way of logging in is not among those, with that plugin.
pub(super) fn lacking(
    definitions: &[Definition],
    flavor: Flavor,
    there: &BTreeSet<String>,
) -> Result<Vec<(String, String)>, ClusterError> {
    let mut out = Vec::new();
    for definition in definitions.iter().filter(|d| d.kind == kind::ACCOUNT) {
        let made = DefinitionText::parse(&definition.text)?;
        // Brine's own is never made.
        let statements = made.statements.iter().filter(|_| !made.own);
        let plugins: BTreeSet<String> = statements.flat_map(|s| plugins(s, flavor)).collect();
        let lacking = plugins.into_iter().filter(|plugin| !there.contains(plugin));
        out.extend(lacking.map(|plugin| (definition.name.clone(), plugin)));
    }
    Ok(out)
}

/// Those that the server has, in lower case.
pub(super) fn there(conn: &mut Conn) -> Result<BTreeSet<String>, WireError> {
    let rows = conn.rows(
        "SELECT plugin_name FROM information_schema.plugins WHERE plugin_type = 'AUTHENTICATION' AND plugin_status = 'ACTIVE'",
    )?;
    Ok(rows.iter().map(|r| r.text(0).to_lowercase()).collect())
}

/// The plugins that a `CREATE USER` names: `IDENTIFIED VIA a USING '...' OR b`, `IDENTIFIED WITH 'a' AS '...' AND IDENTIFIED WITH b`.
fn plugins(sql: &str, flavor: Flavor) -> Vec<String> {
    let words = words(sql, Modes::of(0, flavor));
    let is_name = |t: &&Token<'_>| matches!(t.kind, TokenKind::Word | TokenKind::Name | TokenKind::Text);
    let mut found = Vec::new();
    let mut in_list = false;
    for (at, token) in words.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| words.get(at));
        let opens = (token.is("VIA") || token.is("WITH")) && before.is_some_and(|t| t.is("IDENTIFIED"));
        let goes_on = in_list && token.is("OR");
        if opens || goes_on {
            found.extend(words.get(at + 1).filter(is_name).map(|t| t.name().to_lowercase()));
        }
        in_list |= opens;
        in_list &= !(token.is("REQUIRE") || token.is("WITH") && !opens);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_those_of_every_way_in() {
        let of = |sql: &str| plugins(sql, Flavor::MariaDb);
        assert_eq!(
            of(
                "CREATE USER `a`@`%` IDENTIFIED VIA ed25519 USING 'x OR y' OR unix_socket OR mysql_native_password USING '*1'"
            ),
            ["ed25519", "unix_socket", "mysql_native_password"]
        );
        assert_eq!(
            of(
                "CREATE USER `a`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x24 AND IDENTIFIED WITH `Other` REQUIRE NONE"
            ),
            ["caching_sha2_password", "other"]
        );
        assert_eq!(
            of("CREATE USER a IDENTIFIED VIA x REQUIRE ISSUER 'i' WITH MAX_QUERIES_PER_HOUR 5"),
            ["x"]
        );
        for none in [
            "CREATE USER `via`@`%` IDENTIFIED BY PASSWORD '*1'",
            "CREATE USER `or`@`%`",
            "CREATE USER a WITH MAX_QUERIES_PER_HOUR 5 COMMENT 'IDENTIFIED WITH b'",
            "CREATE USER a IDENTIFIED WITH",
        ] {
            assert_eq!(of(none), Vec::<String>::new(), "{none}");
        }
    }
}
