//! What statements about accounts say: whom they name, and what of them may be shown.

use crate::cluster::mysql::schema::definition::AccountName;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::tokens::{Token, TokenKind, words};
use crate::cluster::mysql::text::ident;
use crate::cluster::mysql::wire::Flavor;

use super::accounts::Logged;
use super::programs;

/// A statement of the log with the account that ran it in place of `CURRENT_USER`, which in a session of the restore is brine's
/// own; `None` where the log does not say who ran it.
pub(super) fn spelled_out(logged: &Logged, flavor: Flavor) -> Option<String> {
    let sql = &logged.sql;
    let words = words(sql, programs::modes(&logged.settings, flavor));
    let (user, role) = match &logged.invoker {
        Some((role, host)) if host.is_empty() => (None, Some(ident(role))),
        Some((user, host)) => (Some(format!("{}@{}", ident(user), ident(host))), None),
        None => (None, None),
    };
    let mut out = sql.clone();
    if let Some(behind) = unsaid(&words, flavor) {
        out.insert_str(behind.end(), &format!(" FOR {}", user.as_ref()?));
    }
    // From behind: so what stands before it keeps its place.
    for (at, word) in words.iter().enumerate().rev() {
        let call = match words.get(at + 1..at + 3) {
            Some([open, close]) if open.is_symbol('(') && close.is_symbol(')') => Some(close),
            _ => None,
        };
        let who = match () {
            () if word.is("CURRENT_USER") || (word.is("USER") && call.is_some()) => user.as_ref()?,
            () if flavor == Flavor::MariaDb && word.is("CURRENT_ROLE") => role.as_ref()?,
            () => continue,
        };
        out.replace_range(word.at..call.unwrap_or(word).end(), who);
    }
    Some(out)
}

/// The word behind which a statement that says nobody's name means whoever runs it.
fn unsaid<'a>(words: &'a [Token<'a>], flavor: Flavor) -> Option<&'a Token<'a>> {
    let says = words.iter().any(|t| t.is("FOR"));
    match words {
        [set, password, ..] if set.is("SET") && password.is("PASSWORD") && !says => Some(password),
        [set, default, role, list @ ..]
            if flavor == Flavor::MariaDb && set.is("SET") && default.is("DEFAULT") && role.is("ROLE") && !says =>
        {
            list.iter().rev().find(|t| !t.is_symbol(';'))
        }
        _ => None,
    }
}

/// The accounts that a statement names; without a host it means any host.
pub(super) fn named(sql: &str, flavor: Flavor) -> Vec<AccountName> {
    let words = words(sql, Modes::of(0, flavor));
    let is_name = |t: &&Token<'_>| matches!(t.kind, TokenKind::Word | TokenKind::Name | TokenKind::Text);
    let mut out = Vec::new();
    let mut at = 0;
    // With partial revokes MySQL logs behind a grant who gave it; that one is not named by it.
    let is_grant = words.first().is_some_and(|t| t.is("GRANT"));
    while let Some(word) = words.get(at) {
        let is_if = word.is("IF") && words.get(at + 1).is_some_and(|t| t.is("EXISTS") || t.is("NOT"));
        let before = at.checked_sub(1).and_then(|k| words.get(k));
        if is_grant && word.is("AS") {
            break;
        }
        let host = words
            .get(at + 1)
            .filter(|t| t.is_symbol('@'))
            .and_then(|_| words.get(at + 2));
        if let (true, Some(host)) = (is_name(&word), host.filter(is_name)) {
            out.push(AccountName {
                user: word.name(),
                host: host.name(),
            });
            at += 3;
            continue;
        }
        let begins =
            |t: &Token<'_>| t.is_symbol(',') || ["USER", "ROLE", "EXISTS", "TO", "FROM", "FOR"].iter().any(|w| t.is(w));
        if is_name(&word) && before.is_some_and(begins) && !word.is("CURRENT_USER") && !is_if {
            out.push(AccountName {
                user: word.name(),
                host: "%".to_owned(),
            });
        }
        at += 1;
    }
    out
}

/// A grant without the account and roles `AS` which it was given, and those.
pub(super) fn without_giver(sql: &str, flavor: Flavor) -> Option<(String, Vec<AccountName>)> {
    let words = words(sql, Modes::of(0, flavor));
    let to = words.iter().position(|t| t.is("TO"))?;
    let at = to + words.get(to..)?.iter().position(|t| t.is("AS"))?;
    let (by, behind) = words.get(at..)?.split_first()?;
    let pairs = behind.windows(3).filter_map(|three| match three {
        [user, sign, host] if sign.is_symbol('@') => Some(AccountName {
            user: user.name(),
            host: host.name(),
        }),
        _ => None,
    });
    let rest = sql.get(..by.at)?.trim_end().to_owned();
    words
        .first()
        .is_some_and(|t| t.is("GRANT"))
        .then(|| (rest, pairs.collect()))
}

/// A grant as a server shows it, with `CREATE` besides, and what takes that again.
pub(super) fn with_create(grant: &str, flavor: Flavor) -> Option<(String, String)> {
    let words = words(grant, Modes::of(0, flavor));
    let on = words.iter().find(|t| t.is("ON"))?;
    let to = words.iter().find(|t| t.is("TO"))?;
    let end = words
        .windows(2)
        .find(|w| matches!(w, [a, b] if a.is("WITH") && b.is("GRANT")));
    let end = end.and_then(<[_]>::first).map_or(grant.len(), |t| t.at);
    let with = format!("{}, CREATE {}", grant.get(..on.at)?.trim_end(), grant.get(on.at..)?);
    let without = format!(
        "REVOKE CREATE {}FROM{}",
        grant.get(on.at..to.at)?,
        grant.get(to.end()..end)?.trim_end()
    );
    Some((with, without))
}

/// What a `GRANT` or `REVOKE` is about: the words between `ON` and `TO` or `FROM`.
pub(super) fn object<'a, 'b>(words: &'b [Token<'a>]) -> &'b [Token<'a>] {
    let gives = words.first().is_some_and(|t| t.is("GRANT") || t.is("REVOKE"));
    let on = words.iter().position(|t| t.is("ON")).filter(|_| gives);
    let rest = on.and_then(|on| words.get(on + 1..)).unwrap_or_default();
    let end = rest.iter().position(|t| t.is("TO") || t.is("FROM"));
    rest.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// The table that a `GRANT` or `REVOKE` is about: its database, where it says one, and its name.
pub(super) fn table_of(sql: &str, flavor: Flavor) -> Option<(Option<String>, String)> {
    let words = words(sql, Modes::of(0, flavor));
    let names = match object(&words) {
        [table, rest @ ..] if table.is("TABLE") => rest,
        all => all,
    };
    match names {
        [db, dot, table] if dot.is_symbol('.') && !table.is_symbol('*') => Some((Some(db.name()), table.name())),
        [table] if !table.is_symbol('*') => Some((None, table.name())),
        _ => None,
    }
}

/// A `GRANT` or `REVOKE` without the columns that are not there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OfColumns {
    /// What is left of it, if anything is.
    pub sql: Option<String>,
    /// The columns.
    pub lost: Vec<String>,
}

/// Leaves out of a `GRANT` or `REVOKE` the columns that are not `there`.
pub(super) fn of_columns(sql: &str, flavor: Flavor, there: impl Fn(&str) -> bool) -> Option<OfColumns> {
    let words = words(sql, Modes::of(0, flavor));
    let on = words.iter().position(|t| t.is("ON"))?;
    let (first, list) = words.get(..on)?.split_first()?;
    if !first.is("GRANT") && !first.is("REVOKE") {
        return None;
    }
    let (mut items, mut lost) = (Vec::new(), Vec::new());
    let mut within = false;
    let parts = list.split(|t| {
        within = (within || t.is_symbol('(')) && !t.is_symbol(')');
        t.is_symbol(',') && !within
    });
    for part in parts {
        let open = part.iter().position(|t| t.is_symbol('('));
        let (head, columns) = part.split_at(open.unwrap_or(part.len()));
        let head: Vec<&str> = head.iter().map(|t| t.text).collect();
        let names = columns.iter().filter(|t| t.kind != TokenKind::Symbol).map(Token::name);
        let (kept, gone): (Vec<String>, Vec<String>) = names.partition(|name| there(name));
        let kept: Vec<String> = kept.iter().map(|name| ident(name)).collect();
        match open {
            None => items.push(head.join(" ")),
            Some(_) if kept.is_empty() => {}
            Some(_) => items.push(format!("{} ({})", head.join(" "), kept.join(", "))),
        }
        lost.extend(gone.into_iter().filter(|name| !lost.contains(name)).collect::<Vec<_>>());
    }
    let rest = sql.get(words.get(on)?.at..)?;
    Some(OfColumns {
        sql: (!items.is_empty()).then(|| format!("{} {} {rest}", first.text, items.join(", "))),
        lost,
    })
}

/// A statement as a message may show it: without the passwords that it may hold.
pub(super) fn shown(sql: &str, flavor: Flavor) -> String {
    let all = words(sql, Modes::of(0, flavor));
    let begin: Vec<&str> = all
        .iter()
        .take_while(|t| t.kind == TokenKind::Word)
        .take(2)
        .map(|t| t.text)
        .collect();
    let gives = ["GRANT", "REVOKE"].iter().any(|w| all.first().is_some_and(|t| t.is(w)));
    let mut accounts = named(sql, flavor).into_iter();
    let account = if gives { accounts.next_back() } else { accounts.next() };
    let about = object(&all);
    let about = match about.iter().any(|t| t.is_symbol('@')) {
        true => String::new(),
        false => about.iter().fold(String::new(), |said, t| {
            let space = if t.is_symbol('.') || said.ends_with('.') {
                ""
            } else {
                " "
            };
            said + space + &t.name()
        }),
    };
    let on = match about.is_empty() {
        true => about,
        false => format!(" ON{about} ..."),
    };
    match account {
        Some(a) => format!("{} ...{on} {}@{}", begin.join(" "), a.user, a.host),
        None => format!("{} ...", begin.join(" ")),
    }
}

/// What a server says, without the text of the statement: that may hold a password.
pub(super) fn without_text(code: u16, message: &str) -> &str {
    const SYNTAX: [u16; 2] = [1064, 1149];
    let end = message.find('\'').filter(|_| SYNTAX.contains(&code));
    let message = end.and_then(|end| message.get(..end)).unwrap_or(message);
    message.trim_end().trim_end_matches(" near")
}

/// Whether a statement locks the accounts that it names.
pub(super) fn locks(sql: &str, flavor: Flavor) -> bool {
    words(sql, Modes::of(0, flavor))
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a.is("ACCOUNT") && b.is("LOCK")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_hold_no_passwords() {
        let of = |sql: &str| shown(sql, Flavor::MariaDb);
        assert_eq!(
            of("CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '*AB'"),
            "CREATE USER ... a@%"
        );
        assert_eq!(of("SET PASSWORD='*AB'"), "SET PASSWORD ...");
        assert_eq!(
            of("GRANT PROXY ON ''@'%' TO 'root'@'::1' WITH GRANT OPTION"),
            "GRANT PROXY ... root@::1"
        );
        let said = "You have an error in your SQL syntax; check the manual for the right syntax to use near 'PASSWORD '*AB' x' at line 1";
        assert_eq!(
            without_text(1064, said),
            "You have an error in your SQL syntax; check the manual for the right syntax to use"
        );
        assert_eq!(
            without_text(1396, "Operation failed for 'a'@'b'"),
            "Operation failed for 'a'@'b'"
        );
    }

    fn list(sql: &str) -> Vec<String> {
        let shown = |a: AccountName| format!("{}@{}", a.user, a.host);
        named(sql, Flavor::MariaDb).into_iter().map(shown).collect()
    }

    #[test]
    fn accounts_are_read_however_they_are_written() {
        assert_eq!(list("DROP USER 'brine'@'%', `a`@b"), ["brine@%", "a@b"]);
        assert_eq!(list("DROP USER brine"), ["brine@%"]);
        assert_eq!(list("ALTER USER IF EXISTS brine ACCOUNT LOCK"), ["brine@%"]);
        assert_eq!(list("CREATE ROLE if not exists brine, `if`"), ["brine@%", "if@%"]);
        assert_eq!(
            list("SET PASSWORD FOR \"root\"@\"localhost\" = 'x'"),
            ["root@localhost"]
        );
        assert_eq!(list("GRANT SELECT ON a.* TO 'xbrine'@'%'"), ["xbrine@%"]);
        assert_eq!(list("DROP USER 'nonroot'@'localhost'"), ["nonroot@localhost"]);
        assert_eq!(
            list("GRANT PROCESS ON *.* TO 'app'@'%' AS 'root'@'localhost' WITH ROLE NONE"),
            ["app@%"]
        );
        assert_eq!(list("CREATE USER a IDENTIFIED BY 'brine'"), ["a@%"]);
    }

    #[test]
    fn columns_that_are_not_there_are_left_out() {
        let of = |sql: &str| of_columns(sql, Flavor::MySql, |name| ["a", "b`"].contains(&name));
        let is = |sql: Option<&str>, lost: &[&str]| {
            Some(OfColumns {
                sql: sql.map(str::to_owned),
                lost: lost.iter().map(|l| (*l).to_owned()).collect(),
            })
        };
        assert_eq!(
            of("GRANT SELECT (`a`, x, `b```), CREATE VIEW, UPDATE(x), INSERT (y) ON TABLE `d`.`t` TO u"),
            is(
                Some("GRANT SELECT (`a`, `b```), CREATE VIEW ON TABLE `d`.`t` TO u"),
                &["x", "y"]
            )
        );
        assert_eq!(of("revoke select (x) on t from u"), is(None, &["x"]));
        assert_eq!(of("create user x"), None);
        let table = |sql: &str| table_of(sql, Flavor::MySql);
        assert_eq!(
            table("GRANT SELECT (x) ON TABLE `d`.`t` TO u"),
            Some((Some("d".to_owned()), "t".to_owned()))
        );
        assert_eq!(table("revoke select on t from u"), Some((None, "t".to_owned())));
        assert_eq!(table("grant select on *.* to u"), None);
        assert_eq!(table("grant execute on procedure d.t to u"), None);
        assert_eq!(
            shown("GRANT SELECT (x), INSERT ON `d`.`t` TO `u`@`h`", Flavor::MySql),
            "GRANT SELECT ... ON d.t ... u@h"
        );
    }

    #[test]
    fn who_gave_is_left_out() {
        let of = |sql: &str| {
            let (rest, by) = without_giver(sql, Flavor::MySql)?;
            let by: Vec<String> = by.iter().map(|a| format!("{}@{}", a.user, a.host)).collect();
            Some(format!("{rest}: {}", by.join(" ")))
        };
        assert_eq!(
            of("GRANT RELOAD ON *.* TO 'app'@'%' WITH GRANT OPTION AS 'root'@'localhost' WITH ROLE 'dba'@'%', `b`@`h`"),
            Some("GRANT RELOAD ON *.* TO 'app'@'%' WITH GRANT OPTION: root@localhost dba@% b@h".to_owned())
        );
        assert_eq!(of("GRANT RELOAD ON *.* TO 'app'@'%'"), None);
    }

    #[test]
    fn create_is_given_and_taken() {
        let (with, without) =
            with_create("GRANT SELECT ON `d`.`t` TO `to`@`%` WITH GRANT OPTION", Flavor::MariaDb).unwrap_or_default();
        assert_eq!(with, "GRANT SELECT, CREATE ON `d`.`t` TO `to`@`%` WITH GRANT OPTION");
        assert_eq!(without, "REVOKE CREATE ON `d`.`t` FROM `to`@`%`");
    }

    #[test]
    fn whoever_ran_a_statement_stands_in_it() {
        let by = |sql: &str, flavor, who: Option<(&str, &str)>| {
            let logged = Logged {
                settings: vec!["SET SESSION sql_mode = 4".to_owned()],
                sql: sql.to_owned(),
                invoker: who.map(|(user, host)| (user.to_owned(), host.to_owned())),
                routine: None,
            };
            spelled_out(&logged, flavor)
        };
        let of = |sql: &str| by(sql, Flavor::MariaDb, Some(("a`b", "%")));
        let is = |sql: &str| Some(sql.to_owned());
        assert_eq!(
            of("ALTER USER current_user ( ) ACCOUNT LOCK"),
            is("ALTER USER `a``b`@`%` ACCOUNT LOCK")
        );
        assert_eq!(
            of("grant proxy on current_user to 'current_user', user ()"),
            is("grant proxy on `a``b`@`%` to 'current_user', `a``b`@`%`")
        );
        assert_eq!(of("alter user user, x@user"), is("alter user user, x@user"));
        assert_eq!(of("set password = 'x'"), is("set password FOR `a``b`@`%` = 'x'"));
        assert_eq!(of("set password for x = 'x'"), is("set password for x = 'x'"));
        assert_eq!(of("set default role r;"), is("set default role r FOR `a``b`@`%`;"));
        assert_eq!(of("grant r to current_role"), None);
        assert_eq!(
            by("grant r to current_role", Flavor::MariaDb, Some(("q", ""))),
            is("grant r to `q`")
        );
        assert_eq!(
            by("drop user \"current_user\"", Flavor::MySql, None),
            is("drop user \"current_user\"")
        );
        assert_eq!(by("drop user current_user", Flavor::MySql, None), None);
        assert_eq!(
            by("set default role r to current_role", Flavor::MySql, None),
            is("set default role r to current_role")
        );
    }

    #[test]
    fn a_statement_that_locks_is_known() {
        assert!(locks("alter user a@b account  lock", Flavor::MySql));
        assert!(!locks(
            "CREATE USER a COMMENT 'ACCOUNT LOCK' ACCOUNT UNLOCK",
            Flavor::MySql
        ));
    }
}
