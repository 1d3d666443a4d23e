//! The one place where every session of brine is put into a known state: a session begins with the server's global values,
//! and those were chosen for applications. One that ends long statements, leaves transactions open, shows fewer rows or
//! hides columns must neither stop a restore half way nor change what a backup holds.
//!
//! What is not named here either cannot change what brine reads and writes, or it is set by the few sessions that need it
//! ([`super::restore::session`], the settings of a statement of the log).
//!
//! *Invariant: whoever calls [`anew`] has a session of brine again, marked as such, whatever was done in it before: by
//! `init_connect`, or by a statement of the log.*

use super::sessions::MARK;
use super::wire::{Conn, Flavor, Version, WireError};

/// What every server knows and every account may set. UTC, no conversion of text on the way out, no modes that change how
/// text is read, each statement its own transaction, all rows, no limit on time or size, and no waiting behind locks for
/// ever.
const ALL: &[&str] = &[
    "SET NAMES utf8mb4",
    // `sql_big_selects` behind `max_join_size`, which changes it.
    "SET SESSION autocommit = 1, completion_type = 0, character_set_results = NULL, time_zone = '+00:00', \
     sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', sql_select_limit = 18446744073709551615, \
     max_join_size = 18446744073709551615, sql_big_selects = 1, sql_quote_show_create = 1, sql_safe_updates = 0, \
     sql_auto_is_null = 0, sql_buffer_result = 0, sql_notes = 1, sql_warnings = 0",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE",
    "SET SESSION foreign_key_checks = 1, unique_checks = 1, auto_increment_increment = 1, auto_increment_offset = 1, \
     default_storage_engine = 'InnoDB', max_sort_length = 1024, group_concat_max_len = 1048576, \
     div_precision_increment = 4, default_week_format = 0, lc_time_names = 'en_US', lc_messages = 'en_US'",
    "SET SESSION lock_wait_timeout = 30, innodb_lock_wait_timeout = 50, net_read_timeout = 3600, \
     net_write_timeout = 3600, wait_timeout = 86400",
];

/// The same of MariaDB from the oldest version on.
const MARIADB: &[&str] = &[
    "SET SESSION max_statement_time = 0, idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0, \
     idle_write_transaction_timeout = 0, system_versioning_asof = DEFAULT, sql_if_exists = 0, \
     check_constraint_checks = 1, default_regex_flags = '', old_mode = 'UTF8_IS_UTF8MB3', \
     innodb_compression_default = 0, innodb_default_encryption_key_id = 1, \
     tmp_disk_table_size = 18446744073709551615, max_session_mem_used = 9223372036854775807",
];

/// The same of MySQL from the oldest version on.
const MYSQL: &[&str] = &[
    "SET SESSION max_execution_time = 0, use_secondary_engine = OFF, block_encryption_mode = 'aes-128-ecb', \
     print_identified_with_as_hex = 0",
];

/// What some versions lack, or keep for accounts with more rights: there the value is the server's. Each by itself.
const SOME: &[&str] = &[
    "SET SESSION explicit_defaults_for_timestamp = 1",
    "SET SESSION character_set_filesystem = binary",
    "SET SESSION max_error_count = 64",
];
const SOME_MARIADB: &[&str] = &[
    "SET SESSION query_cache_type = 0",
    "SET SESSION alter_algorithm = 'DEFAULT'",
    "SET SESSION enforce_storage_engine = NULL",
    "SET SESSION system_versioning_insert_history = 0",
    // The marker of a restore is one event of the log.
    "SET SESSION binlog_alter_two_phase = 0",
    "SET SESSION block_encryption_mode = 'aes-128-ecb'",
    "SET SESSION max_tmp_session_space_usage = 0",
    // What a definition does not say is this.
    "SET SESSION mhnsw_default_m = 6, mhnsw_default_distance = 'euclidean'",
];
const SOME_MYSQL: &[&str] = &[
    // A key that is hidden from applications belongs into a backup.
    "SET SESSION show_gipk_in_create_table_and_information_schema = ON",
    "SET SESSION show_create_table_verbosity = 0",
    // A routine is shown without the collation that goes by itself.
    "SET SESSION default_collation_for_utf8mb4 = utf8mb4_0900_ai_ci",
    "SET SESSION show_create_table_skip_secondary_engine = 0",
    "SET SESSION terminology_use_previous = NONE",
    "SET SESSION parser_max_mem_size = 18446744073709551615",
    "SET SESSION connection_memory_limit = 18446744073709551615",
];

/// The collations that go by themselves with charsets of Unicode in newer versions of MariaDB: a view and the parameters of
/// a routine are shown without them.
const UCA_COLLATIONS: &str = "SET SESSION character_set_collations = 'utf8mb3=utf8mb3_uca1400_ai_ci,\
     ucs2=ucs2_uca1400_ai_ci,utf8mb4=utf8mb4_uca1400_ai_ci,utf16=utf16_uca1400_ai_ci,utf32=utf32_uca1400_ai_ci'";

/// There is no such variable, it is for all sessions only, cannot be set at all, or not by this account.
const LEFT: &[u16] = &[1193, 1227, 1229, 1238];

/// MySQL counts what a session set for itself among what was set at run time. These our sessions set, and a configuration
/// often names them too: nobody can tell any more who gave a server its value.
pub(super) const NOT_TOLD: &[&str] = &[
    "character_set_client",
    "character_set_connection",
    "character_set_results",
    "collation_connection",
    "collation_database",
    "collation_server",
    "default_collation_for_utf8mb4",
    "default_table_encryption",
    "group_concat_max_len",
    "information_schema_stats_expiry",
    "innodb_strict_mode",
    "lock_wait_timeout",
    "max_error_count",
    "net_read_timeout",
    "net_write_timeout",
    "rbr_exec_mode",
    "sql_mode",
    "time_zone",
    "transaction_isolation",
    "wait_timeout",
];

/// These our sessions set as well; but here is the value that a server has by itself, as it shows it. One that has another
/// value was given it.
pub(super) const TOLD_BY_VALUE: &[(&str, &str)] = &[
    ("auto_increment_increment", "1"),
    ("auto_increment_offset", "1"),
    ("autocommit", "ON"),
    ("block_encryption_mode", "aes-128-ecb"),
    ("character_set_filesystem", "binary"),
    ("completion_type", "NO_CHAIN"),
    ("connection_memory_limit", "18446744073709551615"),
    ("default_storage_engine", "InnoDB"),
    ("default_week_format", "0"),
    ("div_precision_increment", "4"),
    ("explicit_defaults_for_timestamp", "ON"),
    ("foreign_key_checks", "ON"),
    ("innodb_lock_wait_timeout", "50"),
    ("lc_messages", "en_US"),
    ("lc_time_names", "en_US"),
    ("max_execution_time", "0"),
    ("max_join_size", "18446744073709551615"),
    ("max_sort_length", "1024"),
    ("parser_max_mem_size", "18446744073709551615"),
    ("print_identified_with_as_hex", "OFF"),
    ("restrict_fk_on_non_standard_key", "ON"),
    ("show_create_table_verbosity", "OFF"),
    ("show_gipk_in_create_table_and_information_schema", "ON"),
    ("sql_auto_is_null", "OFF"),
    ("sql_big_selects", "ON"),
    ("sql_buffer_result", "OFF"),
    ("sql_generate_invisible_primary_key", "OFF"),
    ("sql_notes", "ON"),
    ("sql_quote_show_create", "ON"),
    ("sql_require_primary_key", "OFF"),
    ("sql_safe_updates", "OFF"),
    ("sql_select_limit", "18446744073709551615"),
    ("sql_warnings", "OFF"),
    ("terminology_use_previous", "NONE"),
    ("transaction_read_only", "OFF"),
    ("unique_checks", "ON"),
];

/// Makes the session a new one of brine, in one round trip.
pub(super) fn anew(conn: &mut Conn) -> Result<(), WireError> {
    let (must, may) = statements(conn.info().flavor, conn.info().version);
    conn.reset_and_run(&[&[MARK], must.as_slice()].concat(), &may, LEFT)
}

/// What has to be set, and what may be.
fn statements(flavor: Flavor, version: Version) -> (Vec<&'static str>, Vec<&'static str>) {
    let (must, may) = match flavor {
        Flavor::MariaDb => (MARIADB, SOME_MARIADB),
        Flavor::MySql => (MYSQL, SOME_MYSQL),
    };
    let chosen: &[&str] = match (flavor, version) {
        (Flavor::MariaDb, version) if version >= (11, 5, 0) => &[UCA_COLLATIONS],
        (Flavor::MariaDb, version) if version >= (11, 2, 0) => &["SET SESSION character_set_collations = ''"],
        _ => &[],
    };
    ([ALL, must].concat(), [SOME, may, chosen].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Or a restore would set for all sessions what brine set for its own.
    #[test]
    fn what_is_set_on_mysql_is_not_taken_for_what_somebody_set_for_all() {
        let (must, may) = statements(Flavor::MySql, (9, 7, 0));
        let told = |name: &&str| TOLD_BY_VALUE.iter().any(|(n, _)| n == name) || NOT_TOLD.contains(name);
        let mut count = 0;
        for statement in must.iter().chain(&may) {
            let Some(list) = statement.strip_prefix("SET SESSION ").filter(|l| l.contains(" = ")) else {
                continue;
            };
            for (name, _) in list.split(", ").filter_map(|one| one.split_once(" = ")) {
                // Of these there is no global value.
                let own = ["use_secondary_engine", "show_create_table_skip_secondary_engine"];
                assert!(own.contains(&name) || told(&name), "{name}");
                count += 1;
            }
        }
        assert!(count > 40, "{count}");
    }
}
