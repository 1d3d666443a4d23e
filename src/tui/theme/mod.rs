//! Colours by meaning: the themes, and how deep the terminal's colours are.
//!
//! A theme names palette colours, gives every [`Meaning`] a style, and has a table for 16 colours made by hand,
//! because automatic conversion turns reds into yellows. Screens ask for meanings and never for colours.
//!
//! [`Library`] knows the built-in themes and the operator's own; a theme is checked whole before it is used.

use std::collections::BTreeMap;

use ratatui::style::{Color, Style};
use serde::Deserialize;

mod file;
mod library;

pub use library::{BadTheme, Library};

/// What a piece of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the words are the documentation
pub enum Meaning {
    Base,
    Muted,
    Title,
    Border,
    BorderFocus,
    Selection,
    Mark,
    Key,
    Link,
    Ok,
    Warn,
    Error,
    Busy,
    Unknown,
    Protected,
    ProgressDone,
    ProgressTodo,
    Gap,
    Input,
    Badge,
    Danger,
    Popup,
}

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// None: NO_COLOR, `--no-color`.
    Mono,
    /// The terminal's own 16.
    Ansi16,
    /// The 256-colour cube.
    Cube256,
    /// 24 bits.
    True,
}

impl Depth {
    /// Reads the environment: `NO_COLOR`, then `COLORTERM`, then `TERM`.
    pub fn detect(env: &dyn Fn(&str) -> Option<String>) -> Depth {
        let var = |name| env(name).unwrap_or_default();
        if !var("NO_COLOR").is_empty() {
            Depth::Mono
        } else if matches!(var("COLORTERM").as_str(), "truecolor" | "24bit") {
            Depth::True
        } else if var("TERM").contains("256color") {
            Depth::Cube256
        } else {
            Depth::Ansi16
        }
    }
}

impl Meaning {
    /// All of them.
    pub const ALL: [Meaning; 22] = [
        Meaning::Base,
        Meaning::Muted,
        Meaning::Title,
        Meaning::Border,
        Meaning::BorderFocus,
        Meaning::Selection,
        Meaning::Mark,
        Meaning::Key,
        Meaning::Link,
        Meaning::Ok,
        Meaning::Warn,
        Meaning::Error,
        Meaning::Busy,
        Meaning::Unknown,
        Meaning::Protected,
        Meaning::ProgressDone,
        Meaning::ProgressTodo,
        Meaning::Gap,
        Meaning::Input,
        Meaning::Badge,
        Meaning::Danger,
        Meaning::Popup,
    ];

    /// Its name in theme files.
    pub fn name(self) -> String {
        let mut out = String::new();
        for c in format!("{self:?}").chars() {
            if c.is_ascii_uppercase() && !out.is_empty() {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
        }
        out
    }
}

/// A style for every meaning.
#[derive(Clone, Debug)]
pub struct Theme {
    styles: BTreeMap<Meaning, Style>,
}

impl Theme {
    /// The names of the built-in themes.
    pub fn names() -> Vec<String> {
        Library::default().names()
    }

    /// A built-in theme at a depth; without colours it is always `mono`.
    pub fn load(name: &str, depth: Depth) -> Result<Theme, BadTheme> {
        Library::default().load(name, depth)
    }

    /// The style of a meaning.
    pub fn style(&self, meaning: Meaning) -> Style {
        self.styles.get(&meaning).copied().unwrap_or_default()
    }

    /// The contrast of every meaning on its ground, where both are known; where a style has none, that of a popup, which
    /// is the theme's paper.
    pub fn contrasts(&self) -> Vec<(Meaning, f64)> {
        let paper = self.style(Meaning::Base).bg.or(self.style(Meaning::Popup).bg);
        let pair = |(meaning, style): (&Meaning, &Style)| {
            let (a, b) = (luminance(style.fg?)?, luminance(style.bg.or(paper)?)?);
            Some((*meaning, (a.max(b) + 0.05) / (a.min(b) + 0.05)))
        };
        self.styles.iter().filter_map(pair).collect()
    }
}

/// How light a colour is, as WCAG reckons; unknown for the terminal's own.
fn luminance(color: Color) -> Option<f64> {
    let Color::Rgb(r, g, b) = color else { return None };
    let linear = |v: u8| {
        let v = f64::from(v) / 255.0;
        if v <= 0.03928 {
            v / 12.92
        } else {
            ((v + 0.055) / 1.055).powf(2.4)
        }
    };
    Some(0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_theme_defines_every_meaning_at_every_depth() {
        for name in &Theme::names() {
            for depth in [Depth::Mono, Depth::Ansi16, Depth::Cube256, Depth::True] {
                let theme = Theme::load(name, depth).unwrap();
                assert_eq!(theme.styles.len(), Meaning::ALL.len(), "{name} at {depth:?}");
            }
        }
    }

    #[test]
    fn mono_has_no_colour() {
        for depth in [Depth::Mono, Depth::True] {
            let theme = Theme::load("mono", depth).unwrap();
            for (meaning, style) in &theme.styles {
                assert_eq!((style.fg, style.bg), (None, None), "{meaning:?}");
            }
        }
    }

    #[test]
    fn every_pair_can_be_read() {
        for name in Theme::names().iter().filter(|n| !matches!(n.as_str(), "ansi" | "mono")) {
            let least = if name == "high-contrast" { 7.0 } else { 4.5 };
            let contrasts = Theme::load(name, Depth::True).unwrap().contrasts();
            assert_eq!(contrasts.len(), Meaning::ALL.len(), "{name}");
            for (meaning, ratio) in contrasts {
                assert!(ratio >= least, "{name} {meaning:?}: contrast {ratio:.1}");
            }
        }
    }

    #[test]
    fn good_and_bad_differ_without_red_and_green() {
        let theme = Theme::load("color-blind", Depth::True).unwrap();
        let blue = |meaning| match theme.style(meaning).fg {
            Some(Color::Rgb(r, _, b)) => i32::from(b) - i32::from(r),
            other => panic!("{other:?}"),
        };
        // Blue against yellow is seen with every kind of colour blindness but the rarest.
        assert!(blue(Meaning::Ok) > 100);
        for bad in [Meaning::Warn, Meaning::Error, Meaning::Gap] {
            assert!(blue(bad) < -100, "{bad:?}");
        }
    }

    #[test]
    fn the_environment_decides_the_depth() {
        let depth = |vars: &[(&str, &str)]| {
            let vars: Vec<(String, String)> = vars.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
            Depth::detect(&move |name| vars.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()))
        };
        assert_eq!(depth(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]), Depth::Mono);
        assert_eq!(depth(&[("NO_COLOR", ""), ("COLORTERM", "24bit")]), Depth::True);
        assert_eq!(depth(&[("TERM", "xterm-256color")]), Depth::Cube256);
        assert_eq!(depth(&[("TERM", "linux")]), Depth::Ansi16);
    }
}
