//! Definitions that a server shows in a way in which nobody could write them.
//!
//! MariaDB (10.11 and 11.8 were tried) shows the name of a foreign key as it is: a backtick in it is not doubled, and read by
//! the rules the rest of the definition is one long name.

use std::borrow::Cow;

/// What every line with a foreign key begins with.
const BEGIN: &str = "  CONSTRAINT `";
/// What stands behind its name.
const BEHIND: &str = "` FOREIGN KEY (`";

/// A definition as `SHOW CREATE TABLE` gave it, with every name quoted as it must be.
pub(super) fn mended(create: &str) -> Cow<'_, str> {
    let wrong = |line: &str| bare_name(line).is_some();
    if !create.split_inclusive('\n').any(wrong) {
        return Cow::Borrowed(create);
    }
    let lines = create.split_inclusive('\n').map(|line| match bare_name(line) {
        Some((name, rest)) => Cow::Owned(format!("{BEGIN}{}{rest}", name.replace('`', "``"))),
        None => Cow::Borrowed(line),
    });
    Cow::Owned(lines.collect())
}

/// The name of a foreign key in which a backtick stands alone, and what is behind it on that line.
fn bare_name(line: &str) -> Option<(&str, &str)> {
    let begun = line.strip_prefix(BEGIN)?;
    let (name, rest) = begun.split_at_checked(begun.find(BEHIND)?)?;
    name.replace("``", "").contains('`').then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_key(name: &str) -> String {
        format!(
            "CREATE TABLE `c` (\n  `a` int(11) DEFAULT NULL COMMENT 'CONSTRAINT `x` FOREIGN KEY (`',\n  KEY `f``k` (`a`),\n  \
             CONSTRAINT `{name}` FOREIGN KEY (`a`) REFERENCES `p` (`id`),\n  CONSTRAINT `g` FOREIGN KEY (`a`) REFERENCES `p` (`id`)\n) ENGINE=InnoDB"
        )
    }

    #[test]
    fn a_backtick_that_stands_alone_is_doubled() {
        for (shown, meant) in [
            ("f`k", "f``k"),
            ("`", "``"),
            ("`a`b`", "``a``b``"),
            ("é`ü (`", "é``ü (``"),
        ] {
            assert_eq!(mended(&with_key(shown)), with_key(meant), "{shown}");
        }
    }

    #[test]
    fn what_can_be_read_stays() {
        for name in ["fk", "f``k", "`` FOREIGN", "a'b\"", ""] {
            let create = with_key(name);
            assert!(
                matches!(mended(&create), Cow::Borrowed(same) if same == create),
                "{name}"
            );
        }
    }
}
