//! All themes by name: the built-in ones, and the operator's own from files beside the config.

use std::path::{Path, PathBuf};

use super::file::{Flaw, ThemeFile};
use super::{Depth, Theme};
use crate::model::text::safe;

/// The themes that are built in.
const BUILT_IN: [(&str, &str); 8] = [
    ("brine-dark", include_str!("../../../themes/brine-dark.toml")),
    ("brine-light", include_str!("../../../themes/brine-light.toml")),
    (
        "catppuccin-mocha",
        include_str!("../../../themes/catppuccin-mocha.toml"),
    ),
    (
        "catppuccin-latte",
        include_str!("../../../themes/catppuccin-latte.toml"),
    ),
    ("high-contrast", include_str!("../../../themes/high-contrast.toml")),
    ("color-blind", include_str!("../../../themes/color-blind.toml")),
    ("ansi", include_str!("../../../themes/ansi.toml")),
    ("mono", include_str!("../../../themes/mono.toml")),
];

/// Text is hard to read below this contrast.
const READABLE: f64 = 4.5;
/// A theme builds on others so many times at most.
const DEEPEST: usize = 8;
/// A theme's file is no larger.
const LARGEST: u64 = 256 << 10;

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
    #[error("theme `{name}` ({file}) cannot be read")]
    Malformed {
        /// Its name.
        name: String,
        /// Its file.
        file: String,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// Its file cannot be read.
    #[error("theme file {file} cannot be read")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A colour that is neither in the palette nor a colour.
    #[error(
        "theme `{name}`: {meaning}: `{color}` is neither in its [palette] nor a colour such as \"#4fb3c8\", nor bold, dim, underlined or reversed"
    )]
    Color {
        /// The theme.
        name: String,
        /// The style.
        meaning: String,
        /// The word.
        color: String,
    },
    /// A style is missing.
    #[error("theme `{name}` has no {table} style for `{meaning}`; add it, or begin with: inherits = \"brine-dark\"")]
    Missing {
        /// The theme.
        name: String,
        /// The table.
        table: &'static str,
        /// The style.
        meaning: String,
    },
    /// It builds on a theme that is not there.
    #[error("theme `{name}` builds on `{base}`, and there is no theme of that name")]
    NoBase {
        /// The theme.
        name: String,
        /// What it asks for.
        base: String,
    },
    /// It builds on itself.
    #[error("theme `{name}` builds on itself, by way of `{by}`")]
    Circle {
        /// The theme.
        name: String,
        /// The other one.
        by: String,
    },
}

#[derive(Clone, Debug)]
struct Own {
    name: String,
    file: PathBuf,
    text: String,
}

/// All themes by name; an operator's own goes before a built-in one of that name.
#[derive(Clone, Debug, Default)]
pub struct Library {
    own: Vec<Own>,
}

impl Library {
    /// The built-in themes and those of a directory, which need not be there; what cannot be read is said beside.
    pub fn read(dir: &Path) -> (Library, Vec<BadTheme>) {
        let (mut library, mut bad) = (Library::default(), Vec::new());
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries.map(|e| e.path()).collect();
        files.retain(|f| f.extension().is_some_and(|e| e == "toml"));
        files.sort();
        for file in files {
            let name = file
                .file_stem()
                .map(|n| safe(&n.to_string_lossy(), 40))
                .unwrap_or_default();
            match read(&file) {
                Ok(text) => library.own.push(Own { name, file, text }),
                Err(source) => bad.push(BadTheme::Unreadable {
                    file: file.display().to_string(),
                    source,
                }),
            }
        }
        let broken: Vec<(String, BadTheme)> = library.broken();
        library.own.retain(|t| !broken.iter().any(|(name, _)| *name == t.name));
        bad.extend(broken.into_iter().map(|(_, e)| e));
        (library, bad)
    }

    /// The operator's own themes that cannot be used at some depth.
    fn broken(&self) -> Vec<(String, BadTheme)> {
        let flaw = |t: &Own| {
            let depths = [Depth::Ansi16, Depth::True];
            depths.into_iter().find_map(|d| self.load(&t.name, d).err())
        };
        self.own
            .iter()
            .filter_map(|t| Some((t.name.clone(), flaw(t)?)))
            .collect()
    }

    /// The operator's own themes that are hard to read, as sentences.
    pub fn warnings(&self) -> Vec<String> {
        let faint = |t: &Own| {
            let theme = self.load(&t.name, Depth::True).ok()?;
            let mut faint: Vec<_> = theme.contrasts().into_iter().filter(|(_, c)| *c < READABLE).collect();
            faint.sort_by(|a, b| a.1.total_cmp(&b.1));
            let list: Vec<String> = faint.iter().map(|(m, c)| format!("{} {c:.1}", m.name())).collect();
            (!list.is_empty()).then(|| {
                format!(
                    "theme `{}` is hard to read: contrast below {READABLE} for {}",
                    t.name,
                    list.join(", ")
                )
            })
        };
        self.own.iter().filter_map(faint).collect()
    }

    /// The names, the operator's own first.
    pub fn names(&self) -> Vec<String> {
        let own = self.own.iter().map(|t| t.name.clone());
        let rest = BUILT_IN.iter().map(|(name, _)| *name);
        let rest = rest.filter(|name| !self.is_own(name)).map(str::to_owned);
        own.chain(rest).collect()
    }

    /// Whether a theme is the operator's own.
    pub fn is_own(&self, name: &str) -> bool {
        self.own.iter().any(|t| t.name == name)
    }

    /// A theme at a depth; without colours it is always the built-in `mono`.
    pub fn load(&self, name: &str, depth: Depth) -> Result<Theme, BadTheme> {
        let file = match depth {
            Depth::Mono => Library::default().whole("mono")?,
            Depth::Ansi16 | Depth::Cube256 | Depth::True => self.whole(name)?,
        };
        file.theme(depth).map_err(|flaw| match flaw {
            Flaw::Color { meaning, word } => BadTheme::Color {
                name: safe(name, 40),
                meaning: meaning.name(),
                color: safe(&word, 40),
            },
            Flaw::Missing(meaning) => BadTheme::Missing {
                name: safe(name, 40),
                table: match depth {
                    Depth::Ansi16 | Depth::Mono => "[ansi16]",
                    Depth::Cube256 | Depth::True => "[style]",
                },
                meaning: meaning.name(),
            },
        })
    }

    /// A theme with all that it builds on.
    fn whole(&self, name: &str) -> Result<ThemeFile, BadTheme> {
        // A theme of a built-in one's name may build on that.
        let mut seen: Vec<(String, bool)> = Vec::new();
        let (mut file, own) = self.file(name, true)?;
        seen.push((name.to_owned(), own));
        while let Some(base) = file.inherits.take() {
            let circle = || BadTheme::Circle {
                name: safe(name, 40),
                by: safe(&base, 40),
            };
            let first = !seen.contains(&(base.clone(), true));
            let (below, own) = match self.file(&base, first) {
                Err(BadTheme::Unknown { .. }) if !first => return Err(circle()),
                Err(BadTheme::Unknown { .. }) => {
                    return Err(BadTheme::NoBase {
                        name: safe(name, 40),
                        base: safe(&base, 40),
                    });
                }
                other => other?,
            };
            if seen.contains(&(base.clone(), own)) || seen.len() > DEEPEST {
                return Err(circle());
            }
            seen.push((base, own));
            let next = below.inherits.clone();
            file = file.over(below);
            file.inherits = next;
        }
        Ok(file)
    }

    /// One theme as it is written, and whether it is the operator's own.
    fn file(&self, name: &str, own: bool) -> Result<(ThemeFile, bool), BadTheme> {
        let mine = self.own.iter().find(|t| own && t.name == name);
        let built_in = || BUILT_IN.iter().find(|(n, _)| *n == name).map(|(_, text)| *text);
        let text = mine.map(|t| t.text.as_str()).or_else(built_in);
        let text = text.ok_or_else(|| BadTheme::Unknown {
            name: safe(name, 40),
            known: self.names().join(", "),
        })?;
        let file = toml::from_str(text).map_err(|source| BadTheme::Malformed {
            name: safe(name, 40),
            file: mine.map_or_else(|| "built in".to_owned(), |t| t.file.display().to_string()),
            source: Box::new(source),
        })?;
        Ok((file, mine.is_some()))
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    let size = std::fs::metadata(file)?.len();
    if size > LARGEST {
        return Err(std::io::Error::other(format!("it has {size} bytes, which is no theme")));
    }
    std::fs::read_to_string(file)
}

#[cfg(test)]
mod tests {
    use super::super::Meaning;
    use super::*;

    fn library(files: &[(&str, &str)]) -> (Library, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let (library, bad) = Library::read(dir.path());
        let chain = |e: &BadTheme| {
            let mut text = e.to_string();
            if let Some(s) = std::error::Error::source(e) {
                text += &format!(": {s}");
            }
            text
        };
        (library, bad.iter().map(chain).collect())
    }

    #[test]
    fn an_own_theme_builds_on_another_and_comes_first() {
        let (library, bad) = library(&[
            (
                "mine.toml",
                "inherits = \"brine-dark\"\n[palette]\nsea = \"#ffaa00\"\n[style]\nok = { fg = \"#00ff00\" }",
            ),
            ("mono.toml", "inherits = \"mono\"\n[ansi16]\nok = { fg = \"green\" }"),
            ("notes.txt", "no theme"),
        ]);
        assert_eq!(bad, [""; 0]);
        assert_eq!(library.names()[..3], ["mine", "mono", "brine-dark"]);
        assert_eq!(library.names().len(), 9);
        let theme = library.load("mine", Depth::True).unwrap();
        let dark = Theme::load("brine-dark", Depth::True).unwrap();
        assert_ne!(
            theme.style(Meaning::Key),
            dark.style(Meaning::Key),
            "the palette counts where the base uses it"
        );
        assert_ne!(theme.style(Meaning::Ok), dark.style(Meaning::Ok));
        assert_eq!(theme.style(Meaning::Error), dark.style(Meaning::Error));
        let colourless = library.load("mono", Depth::Mono).unwrap();
        assert_eq!(
            colourless.style(Meaning::Ok).fg,
            None,
            "without colours nothing brings them back"
        );
        assert!(library.warnings().is_empty(), "{:?}", library.warnings());
    }

    #[test]
    fn a_bad_theme_says_why_and_is_not_offered() {
        let (library, bad) = library(&[
            ("a.toml", "[style]\nbase = {}"),
            ("b.toml", "inherits = \"brine-dark\"\n[style]\nok = { fg = \"gren\" }"),
            ("c.toml", "inherits = \"brine-dark\"\n[style]\nokay = {}"),
            ("d.toml", "inherits = \"e\""),
            ("e.toml", "inherits = \"d\""),
            ("f.toml", "inherits = \"nobody\""),
        ]);
        assert_eq!(library.names(), Theme::names());
        let wanted = [
            "theme `a` has no [ansi16] style for `base`",
            "theme `b`: ok: `gren` is neither",
            "unknown variant `okay`",
            "theme `d` builds on itself",
            "theme `e` builds on itself",
            "theme `f` builds on `nobody`",
        ];
        assert_eq!(bad.len(), wanted.len(), "{bad:?}");
        for (said, wanted) in bad.iter().zip(wanted) {
            assert!(said.contains(wanted), "{said}");
        }
    }

    #[test]
    fn an_unreadable_contrast_is_warned_of() {
        let (library, _) = library(&[(
            "pale.toml",
            "inherits = \"brine-dark\"\n[style]\nmuted = { fg = \"#2a333c\" }",
        )]);
        let warnings = library.warnings();
        assert!(
            warnings[0].contains("`pale`") && warnings[0].contains("muted 1."),
            "{warnings:?}"
        );
    }

    #[test]
    fn an_unknown_theme_names_the_known_ones() {
        let e = Theme::load("solar", Depth::True).unwrap_err().to_string();
        assert!(e.contains("solar") && e.contains("brine-dark"), "{e}");
    }
}
