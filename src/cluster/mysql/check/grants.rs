//! What accounts hold, and what an account must hold to give it to them.
//!
//! A restore of a whole server makes its accounts anew. Nobody can give what he does not hold with the right to give it: the
//! account of an administrator would be left without its privileges, after the switch.

use std::collections::BTreeSet;

use crate::cluster::mysql::fence::is_spared;
use crate::cluster::mysql::schema::definition::AccountName;
use crate::cluster::mysql::text::{ident, string};
use crate::cluster::mysql::wire::{Conn, Flavor, Version, WireError};

use super::privileges::has;

/// What `ALL PRIVILEGES` of a database or table are at most.
const OF_A_DATABASE: [&str; 18] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "REFERENCES",
    "INDEX",
    "ALTER",
    "CREATE TEMPORARY TABLES",
    "LOCK TABLES",
    "EXECUTE",
    "CREATE VIEW",
    "SHOW VIEW",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
    "EVENT",
    "TRIGGER",
];

/// Something that has to be given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// Everything there is.
    All,
    /// One privilege, on whatever.
    One(String),
    /// To act as somebody else.
    Proxy,
}

impl Need {
    /// The statement that gives it to brine's account, so that it can give it on.
    fn grant(&self, flavor: Flavor, account: &str) -> String {
        let anybody = match flavor {
            Flavor::MariaDb => "''@'%'",
            Flavor::MySql => "''@''",
        };
        match self {
            Need::All => format!("GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION"),
            Need::Proxy => format!("GRANT PROXY ON {anybody} TO {account} WITH GRANT OPTION"),
            Need::One(name) if is_dynamic(name) => format!("GRANT {name} ON *.* TO {account} WITH GRANT OPTION"),
            Need::One(name) => format!("GRANT {name} ON *.* TO {account}"),
        }
    }
}

/// What brine's own account may give.
struct Own {
    held: BTreeSet<String>,
    /// MySQL's dynamic privileges are given on each by its own right.
    given_on: BTreeSet<String>,
    proxy: bool,
}

/// The list of a line of `SHOW GRANTS`, without columns, and on what it is; nothing for a role that is granted.
fn parts(line: &str) -> Option<(Vec<String>, &str)> {
    let (list, rest) = line.strip_prefix("GRANT ")?.split_once(" ON ")?;
    let mut depth = 0;
    let plain: String = list
        .chars()
        .filter(|c| {
            depth += i32::from(*c == '(');
            let inside = depth > 0;
            depth -= i32::from(*c == ')');
            !inside
        })
        .collect();
    let names = plain.split(',').map(|name| name.trim().to_ascii_uppercase());
    Some((names.filter(|n| !n.is_empty()).collect(), rest))
}

impl Own {
    fn of(lines: &[String], held: BTreeSet<String>) -> Own {
        let mut own = Own {
            held,
            given_on: BTreeSet::new(),
            proxy: false,
        };
        for line in lines.iter().filter(|l| l.contains(" WITH GRANT OPTION")) {
            match parts(line) {
                Some((names, on)) if names.iter().any(|n| n == "PROXY") => {
                    let anybody = ["''@'%'", "``@``", "''@''", "``@`%`"];
                    own.proxy |= anybody.iter().any(|any| on.starts_with(any));
                }
                Some((names, on)) if on.starts_with("*.*") => own.given_on.extend(names),
                _ => {}
            }
        }
        own
    }

    fn may_give(&self, need: &Need) -> bool {
        match need {
            Need::All => self.held.contains("ALL PRIVILEGES") && self.held.contains("GRANT OPTION"),
            // MySQL's dynamic privileges, by their names.
            Need::One(name) if is_dynamic(name) => self.given_on.contains(name),
            Need::One(name) => has(&self.held, name),
            Need::Proxy => self.proxy,
        }
    }
}

/// MySQL gives these one by one; MariaDB's `READ_ONLY ADMIN` is none.
fn is_dynamic(name: &str) -> bool {
    name.contains('_') && !name.contains(' ')
}

/// What somebody with these grants has to be given.
fn needs(lines: &[String], flavor: Flavor, version: Version) -> BTreeSet<Need> {
    let mut out = BTreeSet::new();
    for (names, on) in lines.iter().filter_map(|l| parts(l)) {
        for name in names {
            match name.as_str() {
                "USAGE" => {}
                "PROXY" => drop(out.insert(Need::Proxy)),
                "ALL" | "ALL PRIVILEGES" if on.starts_with("*.*") => drop(out.insert(Need::All)),
                "ALL" | "ALL PRIVILEGES" => {
                    let mut all: Vec<&str> = OF_A_DATABASE.to_vec();
                    if flavor == Flavor::MariaDb {
                        all.push("DELETE HISTORY");
                    }
                    if flavor == Flavor::MariaDb && version >= (11, 3, 0) {
                        all.push("SHOW CREATE ROUTINE");
                    }
                    out.extend(all.into_iter().map(|n| Need::One(n.to_owned())));
                }
                _ => drop(out.insert(Need::One(name))),
            }
        }
    }
    out
}

/// Whether somebody with these grants may act as others.
pub(in crate::cluster::mysql) fn is_proxy(lines: &[String]) -> bool {
    let names = lines.iter().filter_map(|l| parts(l)).flat_map(|(names, _)| names);
    names.into_iter().any(|name| name == "PROXY")
}

/// The GRANT without which brine's account could not give that.
pub(super) fn lacking_proxy(flavor: Flavor, lines: &[String], account: &str) -> Option<String> {
    let mine = Own::of(lines, BTreeSet::new());
    (!mine.may_give(&Need::Proxy)).then(|| Need::Proxy.grant(flavor, account))
}

/// Everybody whose grants a restore makes anew.
fn others(conn: &mut Conn, own: &AccountName) -> Result<BTreeSet<Need>, WireError> {
    let (flavor, version) = (conn.info().flavor, conn.info().version);
    let role = match flavor {
        Flavor::MariaDb => "is_role = 'Y'",
        Flavor::MySql => "0",
    };
    let rows = conn.rows(&format!("SELECT user, host, {role} FROM mysql.user"))?;
    let mut out = BTreeSet::new();
    for row in rows {
        let account = AccountName {
            user: row.text(0),
            host: row.text(1),
        };
        if is_spared(&account, own) {
            continue;
        }
        let named = match row.number(2) {
            0 => format!("{}@{}", string(&account.user), string(&account.host)),
            _ => ident(&account.user),
        };
        match conn.rows(&format!("SHOW GRANTS FOR {named}")) {
            Ok(lines) => {
                let lines: Vec<String> = lines.iter().map(|l| l.text(0)).collect();
                out.extend(needs(&lines, flavor, version));
            }
            // One that the server itself does not find, or that has none.
            Err(WireError::Server { .. }) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(out)
}

/// The GRANTs without which brine's account could not give others what they hold.
pub(super) fn lacking_to_give(
    conn: &mut Conn,
    lines: &[String],
    held: &BTreeSet<String>,
    (own, account): (&AccountName, &str),
) -> Result<Vec<String>, WireError> {
    let flavor = conn.info().flavor;
    let mine = Own::of(lines, held.clone());
    let lacking: BTreeSet<Need> = others(conn, own)?.into_iter().filter(|n| !mine.may_give(n)).collect();
    let all = lacking.contains(&Need::All);
    let said = lacking.into_iter().filter(|n| !all || !matches!(n, Need::One(_)));
    Ok(said.map(|need| need.grant(flavor, account)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> BTreeSet<Need> {
        let lines: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
        needs(&lines, Flavor::MariaDb, (10, 11, 0))
    }

    #[test]
    fn what_an_account_holds_is_read() {
        let one = |name: &str| Need::One(name.to_owned());
        assert_eq!(
            of(&[
                "GRANT `ro` TO `a`@`%`",
                "GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*x'",
                "GRANT SELECT (`a`, `b`), INSERT ON `d`.`t` TO `a`@`%`",
                "GRANT EXECUTE ON PROCEDURE `d`.`p` TO `a`@`%`",
            ]),
            BTreeSet::from([one("SELECT"), one("INSERT"), one("EXECUTE")])
        );
        assert_eq!(
            of(&[
                "GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION",
                "GRANT PROXY ON ''@'%' TO 'a'@'%'"
            ]),
            BTreeSet::from([Need::All, Need::Proxy])
        );
        assert_eq!(of(&["GRANT ALL PRIVILEGES ON `d`.* TO `a`@`%`"]).len(), 19);
    }

    #[test]
    fn only_what_is_held_with_the_right_to_give_it_can_be_given() {
        let lines = [
            "GRANT SELECT, BINLOG_ADMIN ON *.* TO `b`@`%`".to_owned(),
            "GRANT CONNECTION_ADMIN ON *.* TO `b`@`%` WITH GRANT OPTION".to_owned(),
            "GRANT PROXY ON ``@`` TO `b`@`%` WITH GRANT OPTION".to_owned(),
        ];
        let own = Own::of(&lines, BTreeSet::from(["SELECT".to_owned(), "BINLOG_ADMIN".to_owned()]));
        let may = |name: &str| own.may_give(&Need::One(name.to_owned()));
        assert!(may("SELECT") && may("CONNECTION_ADMIN") && own.may_give(&Need::Proxy));
        assert!(!may("BINLOG_ADMIN") && !may("INSERT") && !own.may_give(&Need::All));
    }
}
