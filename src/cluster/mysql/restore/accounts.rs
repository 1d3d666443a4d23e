//! Accounts, roles and grants as they were at the restored moment: those of the backup, then what the log did to them.
//!
//! Never touched: brine's own account, the server's own ones and `root@localhost`, so that nobody is locked out of the
//! server. While the server is closed, every account is made locked, and the fence's journal says what it shall be.

use serde::{Deserialize, Serialize};

use crate::cluster::ClusterError;
use crate::cluster::mysql::fence::{self, quoted};
use crate::cluster::mysql::schema::definition::{AccountName, DefinitionText, kind};
use crate::cluster::mysql::schema::identity;
use crate::cluster::mysql::sessions;
use crate::cluster::mysql::text::{ident, string};
use crate::cluster::mysql::wire::{Conn, Flavor, WireError};
use crate::model::crash::crash_point;
use crate::model::definition::Definition;

use super::ledger::Ledger;
use super::roles::{self, CreateRole};
use super::routines;
use super::steps;
use super::wording::{
    OfColumns, locks, named, of_columns, shown, spelled_out, table_of, with_create, without_giver, without_text,
};

/// There is no such role.
const NO_SUCH_ROLE: [u16; 2] = [1959, 3523];
/// Everybody has the role (MySQL's `mandatory_roles`), so it cannot be dropped or taken away.
const MANDATORY: u16 = 3628;
/// MySQL: whoever is said to give has not the roles with which he did.
const NO_SUCH_GIVER: u16 = 3836;
/// There is no such table.
const NO_SUCH_TABLE: u16 = 1146;
/// There is no such column.
const NO_SUCH_COLUMN: u16 = 1054;

/// A definition of an account, role or grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OfBackup {
    kind: String,
    text: DefinitionText,
}

/// A statement of the log about accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Logged {
    /// The session's settings.
    pub settings: Vec<String>,
    /// The statement.
    pub sql: String,
    /// Who ran it: user and host.
    #[serde(default)]
    pub invoker: Option<(String, String)>,
    /// What it did to a routine, when it is about that and not about accounts: servers give and take by themselves then.
    #[serde(default)]
    pub routine: Option<routines::Change>,
}

/// All that is to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Accounts {
    base: Vec<OfBackup>,
    log: Vec<Logged>,
    /// Gives accounts that are never touched their roles again, which are made anew.
    #[serde(default)]
    roles: Vec<String>,
}

impl Accounts {
    /// From the definitions of a backup and the statements of the log behind it.
    pub fn new(conn: &mut Conn, definitions: &[Definition], mut log: Vec<Logged>) -> Result<Accounts, ClusterError> {
        let of_accounts = definitions
            .iter()
            .filter(|d| [kind::ACCOUNT, kind::ROLE, kind::GRANTS].contains(&d.kind.as_str()));
        let mut base = of_accounts
            .map(|d| {
                Ok(OfBackup {
                    kind: d.kind.clone(),
                    text: DefinitionText::parse(&d.text)?,
                })
            })
            .collect::<Result<Vec<_>, ClusterError>>()?;
        let grants = base.iter().filter(|o: &&OfBackup| o.kind == kind::GRANTS);
        let grants = grants.filter_map(|o| Some((o.text.account.as_ref()?, &o.text.statements)));
        let then = grants.flat_map(|(account, list)| list.iter().map(move |statement| (account, statement)));
        let roles = roles::of_spared(conn, then)?;
        match routines::automatic(conn, definitions)? {
            true => {
                let flavor = conn.info().flavor;
                let gone = routines::settle(&mut log, flavor);
                let kept = |s: &String| routines::named(s, "", flavor).is_none_or(|on| !gone.contains(&on));
                base.iter_mut().for_each(|o| o.text.statements.retain(kept));
            }
            false => log.retain(|logged| logged.routine.is_none()),
        }
        Ok(Accounts { base, log, roles })
    }

    /// Whether the backup has any: one without was made by an account that may not read them, and says nothing.
    pub fn is_empty(&self) -> bool {
        self.base.is_empty()
    }
}

/// Makes the accounts and roles, and drops those that were not there at that moment; returns what could not be done.
pub(super) fn make_accounts(conn: &mut Conn, accounts: &Accounts) -> Result<Vec<String>, ClusterError> {
    let mut work = Work::begin(conn)?;
    work.drop_others(accounts)?;
    for one in accounts.base.iter().filter(|o| o.kind != kind::GRANTS) {
        work.create(one)?;
    }
    work.end()
}

/// Gives them their grants, then does what the log did to accounts; returns what could not be done. `n` is the restore.
pub(super) fn make_grants(conn: &mut Conn, accounts: &Accounts, n: u64) -> Result<Vec<String>, ClusterError> {
    let mut ledger = Ledger::open(conn, n)?;
    let mut work = Work::begin(conn)?;
    work.remarks = ledger.remarks();
    // Once the log has begun to change them, these are in.
    let grants = accounts.base.iter().filter(|o| o.kind == kind::GRANTS);
    for one in grants.filter(|_| ledger.is_new()) {
        if work.spared(one.text.account.as_ref()) {
            continue;
        }
        for statement in &one.text.statements {
            work.grant(statement)?;
        }
    }
    work.replay(&accounts.log, &mut ledger)?;
    for grant in &accounts.roles {
        work.give_back(grant)?;
    }
    work.step_down(accounts)?;
    work.end()
}

struct Work<'a> {
    conn: &'a mut Conn,
    own: AccountName,
    closed: bool,
    remarks: Vec<String>,
}

impl<'a> Work<'a> {
    fn begin(conn: &'a mut Conn) -> Result<Work<'a>, ClusterError> {
        let mut work = Work {
            own: fence::own(conn)?,
            closed: fence::is_closed(conn)?,
            conn,
            remarks: Vec::new(),
        };
        work.no_implied_accounts()?;
        Ok(work)
    }

    /// A closed server stays closed to what was made.
    fn end(self) -> Result<Vec<String>, ClusterError> {
        if self.closed {
            fence::lock_all(self.conn)?;
            sessions::end_all(self.conn, &self.own)?;
        }
        Ok(self.remarks)
    }

    fn spared(&self, account: Option<&AccountName>) -> bool {
        account.is_none_or(|a| fence::is_spared(a, &self.own))
    }

    /// Runs what may fail; then it becomes a remark.
    fn try_run(&mut self, statement: &str) -> Result<bool, ClusterError> {
        let result = self.conn.run(statement).map(drop);
        self.mend(statement, result)
    }

    /// Runs what is left of a statement that failed, where something can be left of it.
    fn mend(&mut self, statement: &str, result: Result<(), WireError>) -> Result<bool, ClusterError> {
        let rest = match result.as_ref().err().and_then(WireError::code) {
            Some(NO_SUCH_COLUMN) => self.without_columns(statement)?,
            Some(NO_SUCH_GIVER) => self.by_anyone(statement)?.map(Some),
            _ => None,
        };
        match rest {
            None => self.judge(statement, result),
            Some(None) => Ok(true),
            Some(Some(rest)) => {
                let result = self.conn.run(&rest).map(drop);
                self.judge(&rest, result)
            }
        }
    }

    /// A grant without who gave it: that counts only for what he, or one of his roles, may not do.
    fn by_anyone(&mut self, statement: &str) -> Result<Option<String>, ClusterError> {
        let Some((rest, givers)) = without_giver(statement, self.conn.info().flavor) else {
            return Ok(None);
        };
        for giver in &givers {
            let sql = format!(
                "SELECT JSON_EXTRACT(user_attributes, '$.Restrictions') IS NULL FROM mysql.user WHERE user = {} AND host = {}",
                string(&giver.user),
                string(&giver.host)
            );
            let row = self
                .conn
                .row(&sql)
                .map_err(|e| e.doing("reading who gave a privilege"))?;
            if row.is_none_or(|r| r.text(0) != "1") {
                return Ok(None);
            }
        }
        Ok(Some(rest))
    }

    /// What is left of a statement about columns of which some are gone, if that is why it fails.
    fn without_columns(&mut self, statement: &str) -> Result<Option<Option<String>>, ClusterError> {
        let flavor = self.conn.info().flavor;
        let Some((db, table)) = table_of(statement, flavor) else {
            return Ok(None);
        };
        let db = db.map_or_else(|| "DATABASE()".to_owned(), |db| string(&db));
        let sql = format!(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = {db} AND table_name = {}",
            string(&table)
        );
        let rows = self.conn.rows(&sql).map_err(|e| e.doing("reading a table's columns"))?;
        let there: Vec<String> = rows.iter().map(|r| r.text(0).to_lowercase()).collect();
        let left = of_columns(statement, flavor, |name| there.contains(&name.to_lowercase()));
        let Some(OfColumns { sql, lost }) = left.filter(|left| !left.lost.is_empty()) else {
            return Ok(None);
        };
        self.remarks.push(format!(
            "an account statement ({}) was done without the columns {}, because the table has none of these names",
            shown(statement, flavor),
            lost.join(", ")
        ));
        Ok(Some(sql))
    }

    /// A failure becomes a remark.
    fn judge(&mut self, statement: &str, result: Result<(), WireError>) -> Result<bool, ClusterError> {
        match result {
            Ok(()) => Ok(true),
            Err(WireError::Server { code, message, .. }) => {
                let text = format!(
                    "an account statement ({}) failed: {code}: {}",
                    shown(statement, self.conn.info().flavor),
                    without_text(code, &message)
                );
                self.remarks.push(text);
                Ok(false)
            }
            Err(e) => Err(e.doing("restoring accounts")),
        }
    }

    /// An account that could not be made (its plugin is lacking) must not come to be by a grant, without a password.
    fn no_implied_accounts(&mut self) -> Result<(), ClusterError> {
        self.set_mode("CONCAT(@@SESSION.sql_mode, ',NO_AUTO_CREATE_USER')")
    }

    fn set_mode(&mut self, mode: &str) -> Result<(), ClusterError> {
        if self.conn.info().flavor == Flavor::MySql {
            return Ok(());
        }
        self.conn
            .run(&format!("SET SESSION sql_mode = {mode}"))
            .map_err(|e| e.doing("preparing to restore accounts"))?;
        Ok(())
    }

    /// Older MariaDB knows packages in grants only in Oracle's mode.
    fn grant(&mut self, statement: &str) -> Result<(), ClusterError> {
        let package = statement.contains(" ON PACKAGE ");
        if package {
            self.set_mode("'ORACLE,NO_AUTO_CREATE_USER'")?;
        }
        let result = self.conn.run(statement).map(drop);
        match result.as_ref().err().and_then(WireError::code) {
            Some(NO_SUCH_TABLE) => self.on_no_table(statement, result)?,
            _ => drop(self.mend(statement, result)?),
        }
        if package {
            self.set_mode("'NO_AUTO_VALUE_ON_ZERO,NO_AUTO_CREATE_USER'")?;
        }
        Ok(())
    }

    /// A grant on a table that is gone stands as long as nobody takes it. Servers make it only together with CREATE.
    fn on_no_table(&mut self, grant: &str, failed: Result<(), WireError>) -> Result<(), ClusterError> {
        let of_all = of_columns(grant, self.conn.info().flavor, |_| false).filter(|left| left.lost.is_empty());
        let Some((with, without)) = of_all.and_then(|_| with_create(grant, self.conn.info().flavor)) else {
            return self.judge(grant, failed).map(drop);
        };
        match self.try_run(&with)? {
            true => self.try_run(&without).map(drop),
            false => Ok(()),
        }
    }

    /// Gives an account that is not touched its role again, where that is there.
    fn give_back(&mut self, grant: &str) -> Result<(), ClusterError> {
        match self.conn.run(grant) {
            Err(e) if e.code().is_some_and(|code| NO_SUCH_ROLE.contains(&code)) => Ok(()),
            Err(e) if e.code().is_none() => Err(e.doing("restoring roles")),
            Ok(_) => Ok(()),
            Err(_) => self.try_run(grant).map(drop),
        }
    }

    /// MariaDB gives a role to whoever creates it; where the own account did not have it, it goes again. Somebody else must be
    /// able to give it on, unless nobody could at the source.
    fn step_down(&mut self, accounts: &Accounts) -> Result<(), ClusterError> {
        let flavor = self.conn.info().flavor;
        if flavor == Flavor::MySql {
            return Ok(());
        }
        let own = |o: &&OfBackup| o.kind == kind::GRANTS && o.text.account.as_ref() == Some(&self.own);
        let of_base = accounts.base.iter().find(own);
        let then = of_base.iter().flat_map(|o| &o.text.statements);
        let to_own = format!(" TO {}", quoted(&self.own));
        let now = accounts.roles.iter().filter(|g| g.contains(&to_own));
        let kept: Vec<String> = then.chain(now).flat_map(|g| roles::granted(g, flavor)).collect();
        let base: Vec<String> = accounts
            .base
            .iter()
            .filter(|o| of_base.is_some() && o.kind == kind::ROLE)
            .filter_map(|o| o.text.account.as_ref().map(|a| ident(&a.user)))
            .collect();
        let held = roles::held(self.conn)?;
        let mine = held.iter().filter(|h| h.account == self.own && !kept.contains(&h.role));
        let others = |role: &String| held.iter().any(|h| h.role == *role && h.admin && h.account != self.own);
        let goes = mine.filter(|h| others(&h.role) || base.contains(&h.role));
        let revokes: Vec<String> = goes
            .map(|h| format!("REVOKE {} FROM {}", h.role, quoted(&self.own)))
            .collect();
        for revoke in revokes {
            self.try_run(&revoke)?;
        }
        Ok(())
    }

    /// Accounts and roles that were not there at that moment go.
    fn drop_others(&mut self, accounts: &Accounts) -> Result<(), ClusterError> {
        let role = match self.conn.info().flavor {
            Flavor::MariaDb => "is_role",
            Flavor::MySql => "'N'",
        };
        let rows = self
            .conn
            .rows(&format!("SELECT user, host, {role} FROM mysql.user"))
            .map_err(|e| e.doing("listing accounts"))?;
        for row in rows {
            let account = AccountName {
                user: row.text(0),
                host: row.text(1),
            };
            let kept = accounts
                .base
                .iter()
                .any(|o| o.kind != kind::GRANTS && o.text.account.as_ref() == Some(&account));
            let is_role = row.text(2) == "Y";
            // MariaDB's role that everybody has does not go, so what it was given does.
            if is_role && account.user.eq_ignore_ascii_case("PUBLIC") {
                let name = ident(&account.user);
                self.try_run(&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {name}"))?;
                continue;
            }
            if kept || self.spared(Some(&account)) {
                continue;
            }
            // One that the server itself does not find (a host name, while it resolves none) is in no backup either.
            let shown = self.conn.run(&format!("SHOW CREATE USER {}", quoted(&account)));
            if !is_role && shown.is_err_and(|e| e.code() == Some(1133)) {
                continue;
            }
            if !self.drop_one(&account, is_role)? {
                self.remarks.push(format!(
                    "the role {}@{} was not there at the restored moment, and could not be dropped because the global \
                     variable mandatory_roles names it: all that it was given was taken from it",
                    account.user, account.host
                ));
            }
        }
        Ok(())
    }

    /// Drops an account or role; `false` when that is a mandatory role, which stays and is left with nothing.
    fn drop_one(&mut self, account: &AccountName, is_role: bool) -> Result<bool, ClusterError> {
        let statement = match is_role {
            true => format!("DROP ROLE IF EXISTS {}", ident(&account.user)),
            false => format!("DROP USER IF EXISTS {}", quoted(account)),
        };
        match self.conn.run(&statement).map(drop) {
            Err(e) if e.code() == Some(MANDATORY) => self.strip(account).map(|()| false),
            result => self.judge(&statement, result).map(|_| true),
        }
    }

    /// Takes from a mandatory role of MySQL what dropping it would take.
    fn strip(&mut self, account: &AccountName) -> Result<(), ClusterError> {
        for revoke in roles::takes_all(self.conn, account)? {
            match self.conn.run(&revoke).map(drop) {
                // It has another one that everybody has.
                Err(e) if e.code() == Some(MANDATORY) => {}
                result => drop(self.judge(&revoke, result)?),
            }
        }
        Ok(())
    }

    fn create(&mut self, one: &OfBackup) -> Result<(), ClusterError> {
        let (Some(account), Some(statement)) = (&one.text.account, one.text.statements.first()) else {
            return Ok(());
        };
        if self.spared(Some(account)) {
            return Ok(());
        }
        let is_role = one.kind == kind::ROLE;
        let mut statement = statement.clone();
        let of_mariadb = self.conn.info().flavor == Flavor::MariaDb;
        if of_mariadb && !is_role {
            statement = statement.replacen("CREATE USER ", "CREATE OR REPLACE USER ", 1);
        } else if !self.drop_one(account, of_mariadb)? {
            statement = statement.replacen("CREATE USER ", "ALTER USER ", 1);
        }
        // An account with two passwords gets the second by a statement of its own.
        let mut more = one.text.statements.iter().skip(1);
        if is_role || !self.closed {
            self.try_run(&statement)?;
            return more.try_for_each(|statement| self.try_run(statement).map(drop));
        }
        // The journal first: an account that it does not name stays locked.
        match one.text.locked {
            true => fence::strike(self.conn, account)?,
            false => fence::remember(self.conn, account)?,
        }
        self.try_run(&identity::locked(&statement))?;
        more.try_for_each(|statement| self.try_run(statement).map(drop))
    }

    /// What the log did to accounts, in order, and each statement once.
    fn replay(&mut self, log: &[Logged], ledger: &mut Ledger) -> Result<(), ClusterError> {
        for (at, logged) in log
            .iter()
            .enumerate()
            .filter(|(at, _)| !ledger.is_past(*at))
            .collect::<Vec<_>>()
        {
            let flavor = self.conn.info().flavor;
            if let Some(change) = &logged.routine {
                self.give_to_maker(change, logged.invoker.as_ref())?;
                continue;
            }
            let role = roles::create_role(logged, flavor);
            // Of a role, that says who may give it on.
            let sql = match role {
                Some(_) => Some(logged.sql.clone()),
                None => spelled_out(logged, flavor),
            };
            let Some(sql) = sql else {
                self.remarks.push(format!(
                    "an account statement of the log ({}) was left out, because it means the account or role of whoever ran \
                     it, and the log does not say who that was: run it again for that one",
                    shown(&logged.sql, flavor)
                ));
                continue;
            };
            let logged = &Logged { sql, ..logged.clone() };
            let named = named(&logged.sql, flavor);
            if role.is_none() && named.iter().any(|account| fence::is_spared(account, &self.own)) {
                self.remarks.push(format!(
                    "an account statement of the log ({}) was left out, because it names an account that a restore never \
                     touches: brine's own, root@localhost or one of the server's",
                    shown(&logged.sql, flavor)
                ));
                continue;
            }
            if self.closed {
                // Who finds this statement begun closes the server first: that must not look like its doing.
                fence::lock_all(self.conn)?;
            }
            let then = match &role {
                Some(role) => self.handed_on(role)?,
                None => Vec::new(),
            };
            let (done, then) = match ledger.begin(self.conn, at, then.clone(), &self.remarks)? {
                Some(note) => (true, note.then),
                None => {
                    crash_point("mysql.restore.account-begun");
                    (self.logged(logged, role.as_ref())?, then)
                }
            };
            crash_point("mysql.restore.account-run");
            if done {
                then.iter().try_for_each(|grant| self.try_run(grant).map(drop))?;
            }
            if done && self.closed && role.is_none() {
                self.follow_locks(&logged.sql, &named)?;
            }
            ledger.end(self.conn, &self.remarks)?;
            crash_point("mysql.restore.account-noted");
        }
        if !self.closed || log.is_empty() {
            return Ok(());
        }
        // What the log left locked stays so: only accounts that are unlocked now, or were made locked above, open again.
        fence::lock_all(self.conn)
    }
}

impl Work<'_> {
    /// Runs a statement of the log in a session like its own; whether it went well.
    fn logged(&mut self, logged: &Logged, role: Option<&CreateRole>) -> Result<bool, ClusterError> {
        for setting in &logged.settings {
            match self.conn.run(setting) {
                // The default database is gone; few statements about accounts need one.
                Err(e) if e.code() == Some(1049) => {}
                other => drop(other.map_err(|e| e.doing("setting up a session for a statement of the log"))?),
            }
        }
        if self.conn.info().flavor == Flavor::MariaDb {
            // An account that could not be made must not come into being by a grant, without a password.
            self.conn
                .run("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_CREATE_USER')")
                .map_err(|e| e.doing("setting up a session for a statement of the log"))?;
        }
        let done = self.try_run(role.map_or(&logged.sql, |r| &r.sql))?;
        steps::reset(self.conn)?;
        Ok(done)
    }

    /// Whoever made a routine of the log may use it. Doing so again changes nothing.
    fn give_to_maker(&mut self, change: &routines::Change, who: Option<&(String, String)>) -> Result<(), ClusterError> {
        let Some((user, host)) = who else {
            return Ok(());
        };
        let who = AccountName {
            user: user.clone(),
            host: host.clone(),
        };
        if self.spared(Some(&who)) {
            return Ok(());
        }
        if let Some(grant) = routines::to_maker(self.conn, change, &who)? {
            self.grant(&grant)?;
            steps::reset(self.conn)?;
        }
        Ok(())
    }

    /// The grants by which whoever made a role of the log may give it on.
    fn handed_on(&mut self, made: &CreateRole) -> Result<Vec<String>, ClusterError> {
        let Some(admin) = &made.admin else {
            return Ok(Vec::new());
        };
        let there = roles::there(self.conn)?;
        let replaces = made.sql.to_ascii_uppercase().contains("OR REPLACE");
        // One that is there already keeps who may give it on.
        let new = made.roles.iter().filter(|r| replaces || !there.contains(r));
        Ok(new
            .map(|role| format!("GRANT {role} TO {admin} WITH ADMIN OPTION"))
            .collect())
    }

    /// Keeps the fence's journal of accounts that open again true to a statement of the log that was run.
    fn follow_locks(&mut self, sql: &str, named: &[AccountName]) -> Result<(), ClusterError> {
        let mut words = sql.split_whitespace();
        let renames = words.next().is_some_and(|w| w.eq_ignore_ascii_case("RENAME"))
            && words.next().is_some_and(|w| w.eq_ignore_ascii_case("USER"));
        if renames {
            for pair in named.chunks_exact(2) {
                if let [from, to] = pair
                    && fence::remembers(self.conn, from)?
                {
                    fence::remember(self.conn, to)?;
                    fence::strike(self.conn, from)?;
                }
            }
        } else if locks(sql, self.conn.info().flavor) {
            for account in named {
                fence::strike(self.conn, account)?;
            }
        }
        Ok(())
    }
}
