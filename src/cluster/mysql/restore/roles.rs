//! Who has which role, and may give it on. A restore makes roles anew, and they lose who had them.

use serde::{Deserialize, Serialize};

use super::accounts::Logged;
use crate::cluster::ClusterError;
use crate::cluster::mysql::fence::{self, quoted};
use crate::cluster::mysql::schema::definition::AccountName;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::tokens::{TokenKind, words};
use crate::cluster::mysql::text::{ident, string};
use crate::cluster::mysql::wire::{Conn, Flavor};

/// A role of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    pub account: AccountName,
    /// As statements write it.
    pub role: String,
    /// Whether it may be given on.
    pub admin: bool,
}

impl Held {
    pub fn grant(&self) -> String {
        let admin = if self.admin { " WITH ADMIN OPTION" } else { "" };
        format!("GRANT {} TO {}{admin}", self.role, quoted(&self.account))
    }
}

/// As statements write a role.
fn written(flavor: Flavor, user: &str, host: &str) -> String {
    match flavor {
        Flavor::MariaDb => ident(user),
        Flavor::MySql => format!("{}@{}", ident(user), ident(host)),
    }
}

/// The roles of all accounts, as it is now.
pub(super) fn held(conn: &mut Conn) -> Result<Vec<Held>, ClusterError> {
    let flavor = conn.info().flavor;
    let sql = match flavor {
        Flavor::MariaDb => "SELECT user, host, role, '', admin_option FROM mysql.roles_mapping WHERE host <> ''",
        Flavor::MySql => "SELECT to_user, to_host, from_user, from_host, with_admin_option FROM mysql.role_edges",
    };
    let rows = conn.rows(sql).map_err(|e| e.doing("reading who has which role"))?;
    let one = rows.iter().map(|r| Held {
        account: AccountName {
            user: r.text(0),
            host: r.text(1),
        },
        role: written(flavor, &r.text(2), &r.text(3)),
        admin: r.text(4) == "Y",
    });
    Ok(one.collect())
}

/// Statements that leave an account of MySQL with nothing: neither roles nor privileges nor limits.
pub(super) fn takes_all(conn: &mut Conn, account: &AccountName) -> Result<Vec<String>, ClusterError> {
    let from = quoted(account);
    let sql = format!(
        "SELECT proxied_user, proxied_host FROM mysql.proxies_priv WHERE user = {} AND host = {}",
        string(&account.user),
        string(&account.host)
    );
    let proxied = conn.rows(&sql).map_err(|e| e.doing("reading whose proxy a role is"))?;
    let proxied = proxied.iter().map(|r| {
        format!(
            "REVOKE PROXY ON {} FROM {from}",
            written(Flavor::MySql, &r.text(0), &r.text(1))
        )
    });
    let held = held(conn)?.into_iter().filter(|h| h.account == *account);
    let mut out = vec![
        format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {from}"),
        format!(
            "ALTER USER {from} WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0 MAX_CONNECTIONS_PER_HOUR 0 \
             MAX_USER_CONNECTIONS 0 FAILED_LOGIN_ATTEMPTS 0 PASSWORD_LOCK_TIME 0"
        ),
    ];
    out.extend(proxied);
    out.extend(held.map(|h| format!("REVOKE {} FROM {from}", h.role)));
    Ok(out)
}

/// The roles that there are now, as statements write them.
pub(super) fn there(conn: &mut Conn) -> Result<Vec<String>, ClusterError> {
    let flavor = conn.info().flavor;
    let sql = match flavor {
        Flavor::MariaDb => "SELECT user, host FROM mysql.user WHERE is_role = 'Y'",
        Flavor::MySql => "SELECT DISTINCT from_user, from_host FROM mysql.role_edges",
    };
    let rows = conn.rows(sql).map_err(|e| e.doing("listing roles"))?;
    Ok(rows.iter().map(|r| written(flavor, &r.text(0), &r.text(1))).collect())
}

/// The roles of accounts that a restore never touches, to be given to them again: those that they have, and of roles that are
/// not there now those that they had at the restored moment. `then` are their grants of that moment.
pub(super) fn of_spared<'a>(
    conn: &mut Conn,
    then: impl Iterator<Item = (&'a AccountName, &'a String)>,
) -> Result<Vec<String>, ClusterError> {
    let own = fence::own(conn)?;
    let mut all = held(conn)?;
    all.retain(|h| fence::is_spared(&h.account, &own));
    let there = there(conn)?;
    let mut out: Vec<String> = all.iter().map(Held::grant).collect();
    for (_, grant) in then.filter(|(account, _)| fence::is_spared(account, &own)) {
        let roles = granted(grant, conn.info().flavor);
        if !roles.is_empty() && !roles.iter().any(|r| there.contains(r)) {
            out.push(grant.clone());
        }
    }
    Ok(out)
}

/// The roles that a statement as servers show it gives; none where it gives privileges.
pub(super) fn granted(grant: &str, flavor: Flavor) -> Vec<String> {
    let words = words(grant, Modes::of(0, flavor));
    let to = words.iter().position(|t| t.is("TO")).unwrap_or_default();
    let list = words.get(1..to).unwrap_or_default();
    let is_roles = words.first().is_some_and(|t| t.is("GRANT")) && list.iter().all(|t| t.kind != TokenKind::Word);
    if !is_roles {
        return Vec::new();
    }
    let names: Vec<String> = list
        .iter()
        .filter(|t| matches!(t.kind, TokenKind::Name | TokenKind::Text))
        .map(|t| t.name())
        .collect();
    match flavor {
        Flavor::MariaDb => names.iter().map(|n| ident(n)).collect(),
        Flavor::MySql => names
            .chunks_exact(2)
            .filter_map(|pair| Some(written(flavor, pair.first()?, pair.get(1)?)))
            .collect(),
    }
}

/// `CREATE ROLE` of MariaDB's log: whoever runs it may give the role on, unless it names somebody else.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CreateRole {
    /// The statement without the one who may give it on: that is brine for as long as the log goes on.
    pub sql: String,
    /// The roles, as statements write them.
    pub roles: Vec<String>,
    /// Who may give them on, as statements write it.
    pub admin: Option<String>,
}

/// `None` when it is something else.
pub(super) fn create_role(logged: &Logged, flavor: Flavor) -> Option<CreateRole> {
    let words = words(&logged.sql, Modes::of(0, flavor));
    let begins = |list: &[&str]| list.iter().zip(&words).filter(|(w, t)| t.is(w)).count() == list.len();
    let mut names = match () {
        () if flavor == Flavor::MySql => return None,
        () if begins(&["CREATE", "ROLE"]) => words.get(2..)?,
        () if begins(&["CREATE", "OR", "REPLACE", "ROLE"]) => words.get(4..)?,
        () => return None,
    };
    if let [a, b, c, rest @ ..] = names
        && a.is("IF")
        && b.is("NOT")
        && c.is("EXISTS")
    {
        names = rest;
    }
    let with = names
        .windows(2)
        .position(|w| matches!(w, [a, b] if a.is("WITH") && b.is("ADMIN")));
    let end = with.unwrap_or(names.len());
    let list = names
        .get(..end)?
        .iter()
        .filter(|t| !t.is_symbol(',') && !t.is_symbol(';'));
    let roles = list.map(|t| ident(&t.name())).collect();
    let invoker = logged.invoker.as_ref().filter(|(_, host)| !host.is_empty());
    let invoker = invoker.map(|(user, host)| format!("{}@{}", ident(user), ident(host)));
    let Some(with) = with else {
        return Some(CreateRole {
            sql: logged.sql.clone(),
            roles,
            admin: invoker,
        });
    };
    let (at, who) = (names.get(with)?.at, names.get(with + 2)?);
    let admin = match who.is("CURRENT_USER") {
        true => invoker,
        false => logged
            .sql
            .get(who.at..)
            .map(|t| t.trim_end_matches([';', ' ', '\n']).to_owned()),
    };
    Some(CreateRole {
        sql: logged.sql.get(..at)?.to_owned(),
        roles,
        admin,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(sql: &str) -> Logged {
        Logged {
            settings: Vec::new(),
            sql: sql.to_owned(),
            invoker: Some(("root".to_owned(), "localhost".to_owned())),
            routine: None,
        }
    }

    #[test]
    fn who_may_give_a_role_on_is_read() {
        let read = |sql: &str| {
            let made = create_role(&logged(sql), Flavor::MariaDb)?;
            Some((made.sql, made.roles.join("+"), made.admin.unwrap_or_default()))
        };
        let of = |sql: &str, roles: &str, admin: &str| Some((sql.to_owned(), roles.to_owned(), admin.to_owned()));
        assert_eq!(read("create role a"), of("create role a", "`a`", "`root`@`localhost`"));
        assert_eq!(
            read("CREATE OR REPLACE ROLE a, 'b' WITH ADMIN x@'y'"),
            of("CREATE OR REPLACE ROLE a, 'b' ", "`a`+`b`", "x@'y'")
        );
        assert_eq!(
            read("create role if not exists a with admin current_user()"),
            of("create role if not exists a ", "`a`", "`root`@`localhost`")
        );
        assert_eq!(read("create user role"), None);
        assert_eq!(read("drop role a"), None);
    }

    #[test]
    fn grants_of_roles_are_known() {
        let of = |sql: &str, flavor| granted(sql, flavor).join(" ");
        assert_eq!(of("GRANT `a` TO `r`@`l` WITH ADMIN OPTION", Flavor::MariaDb), "`a`");
        assert_eq!(of("GRANT `a`@`%`,`b`@`%` TO `r`@`l`", Flavor::MySql), "`a`@`%` `b`@`%`");
        assert_eq!(of("GRANT SELECT ON `a`.* TO `r`@`l`", Flavor::MariaDb), "");
        assert_eq!(of("GRANT PROXY ON ''@'%' TO `r`@`l`", Flavor::MariaDb), "");
        assert_eq!(of("SET DEFAULT ROLE `a` FOR `r`@`l`", Flavor::MariaDb), "");
    }
}
