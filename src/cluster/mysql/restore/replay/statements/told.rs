//! What the receipt says of statements that do not come out quite as they did at the source.

use super::super::sessions::Run;
use super::Statements;
use crate::cluster::ClusterError;
use crate::cluster::mysql::binlog::query::Query;
use crate::cluster::mysql::restore::own_directories;
use crate::cluster::mysql::sql::Modes;
use crate::cluster::mysql::sql::statement::Statement;
use crate::cluster::mysql::wire::Flavor;

impl Statements {
    /// A table keeps the place that brine gave it.
    pub(super) fn tell_directories(&mut self, statement: &Statement, sql: &str, modes: Modes) {
        if self.conn.info().flavor != Flavor::MariaDb || !own_directories::has_any(sql, modes) {
            return;
        }
        let tables = statement.tables().into_iter().filter(|name| self.wanted(name));
        let said: Vec<String> = tables.map(own_directories::said).collect();
        self.remarks.extend(said);
    }

    /// Says in the receipt what may be another hour than at the source.
    pub(super) fn say_unclear(
        &mut self,
        statement: &Statement,
        query: &Query<'_>,
        (sql, modes): (&str, Modes),
        id: &str,
        ran: bool,
    ) -> Result<(), ClusterError> {
        let run = Run {
            query,
            sql,
            shadow: None,
            id,
            modes,
            built: statement.tables().first().and_then(|t| self.shadows.place(t)),
        };
        let said = self.sessions.unclear(&mut self.conn, &run, ran)?;
        self.remarks.extend(said);
        Ok(())
    }
}
