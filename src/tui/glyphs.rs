//! The signs beside words: one set for Unicode terminals, one for ASCII.
//!
//! No emoji, and nothing whose width depends on the locale (East-Asian "ambiguous"), so that columns never shift.

/// One sign for each purpose, each one cell wide.
#[derive(Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the purposes
pub struct Glyphs {
    pub ok: &'static str,
    pub warn: &'static str,
    pub bad: &'static str,
    pub off: &'static str,
    pub busy: &'static str,
    pub unknown: &'static str,
    pub select: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    pub crumb: &'static str,
    pub rule: &'static str,
    pub side: &'static str,
    pub cut: &'static str,
    pub base: &'static str,
    pub log: &'static str,
    pub broken: &'static str,
    pub turn: &'static str,
    pub change: &'static str,
    pub check: &'static str,
    pub part: &'static str,
    pub end: &'static str,
    pub here: &'static str,
    pub done: &'static str,
    pub todo: &'static str,
    pub chosen: &'static str,
    pub open: &'static str,
    pub levels: [&'static str; 5],
    /// Whether nothing is drawn that a screen reader would read out sign by sign.
    pub quiet: bool,
}

/// For terminals that draw Unicode.
pub static UNICODE: Glyphs = Glyphs {
    ok: "✓",
    warn: "!",
    bad: "✗",
    off: "◦",
    busy: "▸",
    unknown: "?",
    select: "▸",
    up: "▴",
    down: "▾",
    crumb: "›",
    rule: "╌",
    side: "╎",
    cut: "⋯",
    base: "▮",
    log: "▬",
    broken: "✗",
    turn: "/",
    change: "!",
    check: "]",
    part: "~",
    end: "|",
    here: "^",
    done: "▮",
    todo: "▯",
    chosen: "(*)",
    open: "( )",
    levels: [" ", "⣀", "⣤", "⣶", "⣿"],
    quiet: false,
};

/// For `--ascii`, a locale without UTF-8, and the Linux console.
pub static ASCII: Glyphs = PLAIN;

const PLAIN: Glyphs = Glyphs {
    ok: "*",
    warn: "!",
    bad: "x",
    off: "o",
    busy: "~",
    unknown: "?",
    select: ">",
    up: "^",
    down: "v",
    crumb: ">",
    rule: "-",
    side: "|",
    cut: "~",
    base: "+",
    log: "=",
    broken: "x",
    turn: "/",
    change: "!",
    check: "]",
    part: "~",
    end: "|",
    here: "^",
    done: "#",
    todo: ".",
    chosen: "(o)",
    open: "( )",
    levels: [" ", ".", ":", "+", "#"],
    quiet: false,
};

/// For `--accessible`: no lines, bars and charts, because a screen reader would read them out sign by sign. What they show
/// stands beside them in words. The signs of states are left out too where the word says it all.
pub static QUIET: Glyphs = Glyphs {
    ok: " ",
    bad: "!",
    off: " ",
    busy: " ",
    up: " ",
    down: " ",
    rule: " ",
    side: " ",
    end: " ",
    done: " ",
    todo: " ",
    chosen: "(x)",
    levels: [" "; 5],
    quiet: true,
    ..PLAIN
};

/// Whether the environment asks for ASCII: a locale without UTF-8, or the Linux console.
pub fn wants_ascii(env: &dyn Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| env(name))
        .find(|v| !v.is_empty())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let utf8 = locale.contains("utf-8") || locale.contains("utf8");
    !utf8 || env("TERM").as_deref() == Some("linux")
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    fn all(g: &Glyphs) -> Vec<&'static str> {
        let one = [
            g.ok, g.warn, g.bad, g.off, g.busy, g.unknown, g.select, g.up, g.down, g.crumb, g.rule, g.side, g.cut,
            g.base, g.log, g.broken, g.turn, g.change, g.check, g.part, g.end, g.here, g.done, g.todo,
        ];
        one.into_iter().chain(g.levels).collect()
    }

    #[test]
    fn every_sign_is_one_cell_wide_in_every_locale() {
        for g in [&UNICODE, &ASCII, &QUIET].into_iter().flat_map(all) {
            assert_eq!((g.width(), g.width_cjk()), (1, 1), "{g}");
        }
        assert!(all(&ASCII).iter().all(|g| g.is_ascii()));
        assert!([ASCII.chosen, ASCII.open].iter().all(|g| g.is_ascii()));
    }

    #[test]
    fn the_locale_decides() {
        let with = |pairs: &'static [(&'static str, &'static str)]| {
            wants_ascii(&move |n| pairs.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned()))
        };
        assert!(!with(&[("LANG", "en_US.UTF-8")]));
        assert!(with(&[("LANG", "C")]) && with(&[]));
        assert!(with(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]));
        assert!(with(&[("LANG", "C.UTF-8"), ("TERM", "linux")]));
    }
}
