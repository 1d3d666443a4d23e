//! Colours by meaning: the themes, and how deep the terminal's colours are.
//!
//! A theme names palette colours, gives every [`Meaning`] a style, and has a table for 16 colours made by hand,
//! because automatic conversion turns reds into yellows. Screens ask for meanings and never for colours.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThemeFile {
    palette: BTreeMap<String, String>,
    style: BTreeMap<Meaning, Look>,
    ansi16: BTreeMap<Meaning, Look>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Look {
    fg: Option<String>,
    bg: Option<String>,
    #[serde(default)]
    add: Vec<String>,
}

/// A theme that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadTheme {
    /// No theme of that name.
    #[error("there is no theme `{name}`; the themes are: {known}")]
    Unknown {
        /// As asked.
        name: String,
        /// The known ones.
        known: String,
    },
    /// Its text is not a theme.
    #[error("theme `{name}` cannot be read")]
    Malformed {
        /// Its name.
        name: String,
        /// Where and why.
        #[source]
        source: toml::de::Error,
    },
    /// A colour that is neither in the palette nor a colour.
    #[error("theme `{name}`: `{color}` is not a colour")]
    Color {
        /// The theme.
        name: String,
        /// The word.
        color: String,
    },
}

/// The themes that are built in.
const BUILT_IN: [(&str, &str); 8] = [
    ("brine-dark", include_str!("../../themes/brine-dark.toml")),
    ("brine-light", include_str!("../../themes/brine-light.toml")),
    ("catppuccin-mocha", include_str!("../../themes/catppuccin-mocha.toml")),
    ("catppuccin-latte", include_str!("../../themes/catppuccin-latte.toml")),
    ("high-contrast", include_str!("../../themes/high-contrast.toml")),
    ("color-blind", include_str!("../../themes/color-blind.toml")),
    ("ansi", include_str!("../../themes/ansi.toml")),
    ("mono", include_str!("../../themes/mono.toml")),
];

/// A style for every meaning.
#[derive(Clone, Debug)]
pub struct Theme {
    styles: BTreeMap<Meaning, Style>,
}

impl Theme {
    /// The names of the built-in themes.
    pub fn names() -> Vec<&'static str> {
        BUILT_IN.iter().map(|(name, _)| *name).collect()
    }

    /// A built-in theme at a depth; without colours it is always `mono`.
    pub fn load(name: &str, depth: Depth) -> Result<Theme, BadTheme> {
        let name = if depth == Depth::Mono { "mono" } else { name };
        let text = BUILT_IN.iter().find(|(n, _)| *n == name).map(|(_, text)| *text);
        let text = text.ok_or_else(|| BadTheme::Unknown {
            name: crate::model::text::safe(name, 40),
            known: Theme::names().join(", "),
        })?;
        let file: ThemeFile = toml::from_str(text).map_err(|source| BadTheme::Malformed {
            name: name.to_owned(),
            source,
        })?;
        let table = match depth {
            Depth::Ansi16 | Depth::Mono => &file.ansi16,
            Depth::Cube256 | Depth::True => &file.style,
        };
        let mut styles = BTreeMap::new();
        for (meaning, look) in table {
            let style = look.style(&file.palette, depth).map_err(|color| BadTheme::Color {
                name: name.to_owned(),
                color,
            })?;
            styles.insert(*meaning, style);
        }
        Ok(Theme { styles })
    }

    /// The style of a meaning.
    pub fn style(&self, meaning: Meaning) -> Style {
        self.styles.get(&meaning).copied().unwrap_or_default()
    }
}

impl Look {
    fn style(&self, palette: &BTreeMap<String, String>, depth: Depth) -> Result<Style, String> {
        let color = |name: &String| {
            let text = palette.get(name).unwrap_or(name);
            text.parse::<Color>().map(|c| fold(c, depth)).map_err(|_| name.clone())
        };
        let mut style = Style {
            fg: self.fg.as_ref().map(color).transpose()?,
            bg: self.bg.as_ref().map(color).transpose()?,
            ..Style::default()
        };
        for word in &self.add {
            style = style.add_modifier(match word.as_str() {
                "bold" => Modifier::BOLD,
                "dim" => Modifier::DIM,
                "underlined" => Modifier::UNDERLINED,
                "reversed" => Modifier::REVERSED,
                _ => return Err(word.clone()),
            });
        }
        Ok(style)
    }
}

/// A 24-bit colour in the 6x6x6 cube or the grey ramp of 256-colour terminals, whichever is nearer.
fn fold(color: Color, depth: Depth) -> Color {
    let (Color::Rgb(r, g, b), Depth::Cube256) = (color, depth) else {
        return color;
    };
    const LEVELS: [i32; 6] = [0, 95, 135, 175, 215, 255];
    let level = |c: u8| {
        let at = |(_, l): &(usize, &i32)| (**l - i32::from(c)).abs();
        LEVELS
            .iter()
            .enumerate()
            .min_by_key(at)
            .map_or((0, 0), |(i, l)| (i, *l))
    };
    let far = |x: (i32, i32, i32)| {
        let (dr, dg, db) = (x.0 - i32::from(r), x.1 - i32::from(g), x.2 - i32::from(b));
        dr * dr + dg * dg + db * db
    };
    let ((ri, rl), (gi, gl), (bi, bl)) = (level(r), level(g), level(b));
    let grey = ((i32::from(r) + i32::from(g) + i32::from(b)) / 3 - 8).clamp(0, 230) / 10;
    let shade = 8 + 10 * grey;
    if far((shade, shade, shade)) < far((rl, gl, bl)) {
        Color::Indexed((232 + grey.min(23)) as u8)
    } else {
        Color::Indexed((16 + 36 * ri + 6 * gi + bi) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: usize = Meaning::Popup as usize + 1;

    #[test]
    fn every_theme_defines_every_meaning_at_every_depth() {
        for name in Theme::names() {
            for depth in [Depth::Mono, Depth::Ansi16, Depth::Cube256, Depth::True] {
                let theme = Theme::load(name, depth).unwrap();
                assert_eq!(theme.styles.len(), ALL, "{name} at {depth:?}");
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

    fn luminance(c: Color) -> f64 {
        let Color::Rgb(r, g, b) = c else { panic!("{c:?}") };
        let lin = |v: u8| {
            let v = f64::from(v) / 255.0;
            if v <= 0.03928 {
                v / 12.92
            } else {
                ((v + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * lin(r) + 0.7152 * lin(g) + 0.0722 * lin(b)
    }

    /// The contrast of every meaning on its ground; where a style has none, that of a popup, which is the theme's paper.
    fn contrasts(name: &str, depth: Depth) -> Vec<(Meaning, f64)> {
        let theme = Theme::load(name, depth).unwrap();
        let paper = theme
            .style(Meaning::Base)
            .bg
            .or(theme.style(Meaning::Popup).bg)
            .unwrap();
        let pair = |(meaning, style): (&Meaning, &Style)| {
            let (a, b) = (luminance(style.fg.unwrap()), luminance(style.bg.unwrap_or(paper)));
            (*meaning, (a.max(b) + 0.05) / (a.min(b) + 0.05))
        };
        theme.styles.iter().map(pair).collect()
    }

    #[test]
    fn every_pair_can_be_read() {
        for name in Theme::names().into_iter().filter(|n| !matches!(*n, "ansi" | "mono")) {
            let least = if name == "high-contrast" { 7.0 } else { 4.5 };
            for (meaning, ratio) in contrasts(name, Depth::True) {
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

    #[test]
    fn an_unknown_theme_names_the_known_ones() {
        let e = Theme::load("solar", Depth::True).unwrap_err().to_string();
        assert!(e.contains("solar") && e.contains("brine-dark"), "{e}");
    }
}
