//! What servers show of an account's identity, taken apart by its words: a name, a comment or a hash that holds such words
//! is not read as one.
//!
//! MySQL shows a hash in hex digits only when it holds unprintable bytes, also with `print_identified_with_as_hex`; else it
//! is a string with escapes (SHOW CREATE USER of MySQL 9.7).

use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::tokens::{Token, replaced, words};
use crate::cluster::mysql::wire::Flavor;

/// Servers of both products write these statements alike.
fn words_of(statement: &str) -> Vec<Token<'_>> {
    words(statement, Modes::of(0, Flavor::MySql))
}

/// Where the words stand one behind the other: the first and the last of them.
fn phrase<'a, 's>(all: &'s [Token<'a>], wanted: &[&str]) -> Option<(&'s Token<'a>, &'s Token<'a>)> {
    let found = all
        .windows(wanted.len())
        .find(|w| w.iter().zip(wanted).all(|(t, word)| t.is(word)))?;
    Some((found.first()?, found.last()?))
}

/// Whether `CREATE USER` makes a locked account.
pub fn is_locked(create: &str) -> bool {
    phrase(&words_of(create), &["ACCOUNT", "LOCK"]).is_some()
}

/// `CREATE USER` of an account that is not locked.
pub fn unlocked(create: &str) -> String {
    let all = words_of(create);
    // In its place: words that come behind it (comments, attributes) must stay behind.
    phrase(&all, &["ACCOUNT", "LOCK"])
        .and_then(|(first, last)| replaced(create, first, last, "ACCOUNT UNLOCK"))
        .unwrap_or_else(|| create.to_owned())
}

/// `CREATE USER` of an account that is locked.
pub fn locked(create: &str) -> String {
    if is_locked(create) {
        return create.to_owned();
    }
    let all = words_of(create);
    phrase(&all, &["ACCOUNT", "UNLOCK"])
        .and_then(|(first, last)| replaced(create, first, last, "ACCOUNT LOCK"))
        .unwrap_or_else(|| format!("{create} ACCOUNT LOCK"))
}

/// The statements for an account with two passwords, `second` being the hash of the older one in hex digits: made with
/// that, it gets the newer one and keeps the other. `None` when no hash is shown that another could stand in for.
pub fn with_second(create: &str, account: &str, second: &str) -> Option<Vec<String>> {
    let all = words_of(create);
    let (_, with) = phrase(&all, &["IDENTIFIED", "WITH"])?;
    let mut behind = all.iter().skip_while(|t| t.at <= with.at);
    let (plugin, hash) = (behind.next()?, behind.nth(1)?);
    let expired = match phrase(&all, &["PASSWORD", "EXPIRE", "ACCOUNT"]) {
        Some(_) => " PASSWORD EXPIRE",
        None => "",
    };
    Some(vec![
        replaced(create, hash, hash, &format!("0x{second}"))?,
        format!(
            "ALTER USER {account} IDENTIFIED WITH {} AS {} RETAIN CURRENT PASSWORD{expired}",
            plugin.text, hash.text
        ),
    ])
}

/// MySQL shows default roles within `CREATE USER`, where they would have to exist before; takes them out.
pub fn without_default_role(create: &str) -> (String, Option<String>) {
    let all = words_of(create);
    let cut = || {
        let (first, last) = phrase(&all, &["DEFAULT", "ROLE"])?;
        let next = all.iter().find(|t| t.at > last.at && t.is("REQUIRE"))?;
        let roles = create.get(last.end()..next.at)?.trim();
        Some((
            format!("{}{}", create.get(..first.at)?, create.get(next.at..)?),
            Some(roles.to_owned()),
        ))
    };
    cut().unwrap_or_else(|| (create.to_owned(), None))
}

/// A grant without the password and limits that MariaDB shows in it: the account has them already, and a password that is
/// set again would no longer be expired.
pub fn without_identity(grant: &str) -> String {
    let all = words_of(grant);
    let cut = || {
        let from = all.iter().position(|t| t.is("IDENTIFIED"))?;
        let more = match phrase(all.get(from..)?, &["WITH", "GRANT", "OPTION"]) {
            Some(_) => " WITH GRANT OPTION",
            None => "",
        };
        let before = grant.get(..all.get(from)?.at)?.trim_end();
        Some(format!("{before}{more}"))
    };
    cut().unwrap_or_else(|| grant.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_roles_are_taken_out() {
        let create = "CREATE USER `app`@`%` IDENTIFIED WITH 'p' AS 0x24 DEFAULT ROLE `ro`@`%`,`rw`@`%` REQUIRE NONE PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK";
        let (made, roles) = without_default_role(create);
        assert_eq!(
            made,
            "CREATE USER `app`@`%` IDENTIFIED WITH 'p' AS 0x24 REQUIRE NONE PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK"
        );
        assert_eq!(roles.as_deref(), Some("`ro`@`%`,`rw`@`%`"));
        for plain in [
            "CREATE USER `a`@`%` REQUIRE NONE",
            "CREATE USER ` DEFAULT ROLE `@`%` REQUIRE NONE",
            r"CREATE USER `a`@`%` IDENTIFIED WITH 'p' AS 'it\' DEFAULT ROLE x' REQUIRE NONE",
        ] {
            assert_eq!(without_default_role(plain), (plain.to_owned(), None));
        }
    }

    #[test]
    fn the_lock_of_a_fence_is_taken_out_and_put_in() {
        for (open, closed) in [
            (
                "CREATE USER `a`@`%` ACCOUNT UNLOCK PASSWORD EXPIRE",
                "CREATE USER `a`@`%` ACCOUNT LOCK PASSWORD EXPIRE",
            ),
            (
                "CREATE USER ` ACCOUNT LOCK`@`%` ACCOUNT UNLOCK COMMENT 'no ACCOUNT LOCK, ACCOUNT UNLOCK'",
                "CREATE USER ` ACCOUNT LOCK`@`%` ACCOUNT LOCK COMMENT 'no ACCOUNT LOCK, ACCOUNT UNLOCK'",
            ),
            (
                r"CREATE USER `a`@`%` IDENTIFIED WITH 'p' AS 'x\' ACCOUNT LOCK' ACCOUNT UNLOCK",
                r"CREATE USER `a`@`%` IDENTIFIED WITH 'p' AS 'x\' ACCOUNT LOCK' ACCOUNT LOCK",
            ),
        ] {
            assert_eq!((unlocked(closed), locked(open)), (open.to_owned(), closed.to_owned()));
            assert_eq!((is_locked(closed), is_locked(open)), (true, false));
            assert_eq!((unlocked(open), locked(closed)), (open.to_owned(), closed.to_owned()));
        }
        assert_eq!(locked("CREATE USER `a`@`%`"), "CREATE USER `a`@`%` ACCOUNT LOCK");
    }

    #[test]
    fn an_account_with_two_passwords_gets_both() {
        let rest = "REQUIRE NONE PASSWORD EXPIRE ACCOUNT LOCK COMMENT 'x'";
        // In hex digits, and as printable salts are shown.
        for first in ["0x24aB", r#"'$A$005$abcdefghij\'lm\\opqr\" AS 0x24'"#] {
            let create = format!("CREATE USER `a`@`%` IDENTIFIED WITH 'p' AS {first} {rest}");
            assert_eq!(
                with_second(&create, "`a`@`%`", "99").unwrap(),
                [
                    format!("CREATE USER `a`@`%` IDENTIFIED WITH 'p' AS 0x99 {rest}"),
                    format!(
                        "ALTER USER `a`@`%` IDENTIFIED WITH 'p' AS {first} RETAIN CURRENT PASSWORD PASSWORD EXPIRE"
                    ),
                ]
            );
        }
        let without = "CREATE USER `a`@`%` IDENTIFIED BY RANDOM PASSWORD";
        assert_eq!(with_second(without, "a", "99"), None);
    }

    #[test]
    fn a_grant_sets_no_password() {
        for (shown, wanted) in [
            (
                "GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*AB' REQUIRE SSL",
                "GRANT USAGE ON *.* TO `a`@`%`",
            ),
            (
                "GRANT ALL PRIVILEGES ON *.* TO `a`@`%` IDENTIFIED VIA ed25519 USING 'x' OR y WITH GRANT OPTION MAX_USER_CONNECTIONS 3",
                "GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION",
            ),
            (
                "GRANT SELECT ON `d`.* TO `a IDENTIFIED b`@`%`",
                "GRANT SELECT ON `d`.* TO `a IDENTIFIED b`@`%`",
            ),
            (
                "GRANT USAGE ON *.* TO `a IDENTIFIED b`@`%` IDENTIFIED BY PASSWORD '*AB'",
                "GRANT USAGE ON *.* TO `a IDENTIFIED b`@`%`",
            ),
        ] {
            assert_eq!(without_identity(shown), wanted);
        }
    }
}
