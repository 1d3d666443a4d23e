//! The text of a theme: TOML with a palette, styles by meaning, and a table for 16 colours; it may build on another one.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use super::{Depth, Meaning, Theme};

/// A theme as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThemeFile {
    /// The theme whose colours and styles stand where this one has none.
    pub inherits: Option<String>,
    palette: BTreeMap<String, String>,
    style: BTreeMap<Meaning, Look>,
    ansi16: BTreeMap<Meaning, Look>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Look {
    fg: Option<String>,
    bg: Option<String>,
    #[serde(default)]
    add: Vec<String>,
}

/// What is wrong with a style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Neither in the palette nor a colour.
    Color {
        /// Of which meaning.
        meaning: Meaning,
        /// What was written.
        word: String,
    },
    /// A meaning without a style.
    Missing(Meaning),
}

impl ThemeFile {
    /// With another theme's colours and styles where this one has none.
    pub fn over(mut self, base: ThemeFile) -> ThemeFile {
        fn fill<K: Ord, V>(own: &mut BTreeMap<K, V>, base: BTreeMap<K, V>) {
            for (key, value) in base {
                own.entry(key).or_insert(value);
            }
        }
        fill(&mut self.palette, base.palette);
        fill(&mut self.style, base.style);
        fill(&mut self.ansi16, base.ansi16);
        self
    }

    /// The styles at a depth.
    pub fn theme(&self, depth: Depth) -> Result<Theme, Flaw> {
        let table = match depth {
            Depth::Ansi16 | Depth::Mono => &self.ansi16,
            Depth::Cube256 | Depth::True => &self.style,
        };
        let mut styles = BTreeMap::new();
        for meaning in Meaning::ALL {
            let look = table.get(&meaning).ok_or(Flaw::Missing(meaning))?;
            let style = look.style(&self.palette, depth);
            styles.insert(meaning, style.map_err(|word| Flaw::Color { meaning, word })?);
        }
        Ok(Theme { styles })
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
