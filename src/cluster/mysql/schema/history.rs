//! Histories of rows that no statement can write as they were.

use super::create::{CreateTable, ItemKind, find_word};

/// Whether rows are versioned by the ids of transactions: only the server gives those.
pub fn by_transaction(create: &str) -> bool {
    const END: &str = "GENERATED ALWAYS AS ROW END";
    let is_id = |text: &str| find_word(text, END).is_some() && find_word(text, "bigint").is_some();
    create.contains(END)
        && CreateTable::parse(create).is_ok_and(|parsed| {
            let mut columns = parsed.items.iter();
            columns.any(|i| matches!(i.kind, ItemKind::Column(_)) && is_id(&i.text))
        })
}

/// Whether history goes into the next partition after so many rows: which row is in which one hangs on the statements that
/// wrote them.
pub fn by_number(create: &str) -> bool {
    const BY: &str = "PARTITION BY SYSTEM_TIME";
    create.contains(BY)
        && CreateTable::parse(create).is_ok_and(|parsed| {
            let rest = find_word(&parsed.tail, BY).and_then(|at| parsed.tail.get(at + BY.len()..));
            rest.is_some_and(|rest| rest.trim_start().starts_with("LIMIT "))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_are_told_by_their_definitions() {
        let of = |end: &str, tail: &str| {
            format!(
                "CREATE TABLE `t` (\n  `id` bigint(20) NOT NULL COMMENT 'GENERATED ALWAYS AS ROW END',\n  \
                 `e` {end} GENERATED ALWAYS AS ROW END\n) ENGINE=InnoDB WITH SYSTEM VERSIONING{tail}"
            )
        };
        let (ids, times) = ("bigint(20) unsigned", "timestamp(6)");
        assert!(by_transaction(&of(ids, "")));
        assert!(!by_transaction(&of(times, "")));
        assert!(by_number(&of(
            times,
            "\n PARTITION BY SYSTEM_TIME LIMIT 3\nPARTITIONS 4"
        )));
        for tail in [
            "\n PARTITION BY SYSTEM_TIME \n(PARTITION `p` CURRENT)",
            "\n PARTITION BY SYSTEM_TIME INTERVAL 1 DAY",
            " COMMENT=' PARTITION BY SYSTEM_TIME LIMIT 3'",
        ] {
            assert!(!by_number(&of(times, tail)), "{tail}");
        }
    }
}
