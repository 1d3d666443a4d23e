//! What is wrong with a config: all of it at once, each with its place.

use std::fmt;
use std::path::PathBuf;

use crate::model::text::safe;

/// A place in the config file, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where in the file; `None` for flags and environment variables.
    pub place: Option<Place>,
    /// What, and what would work.
    pub text: String,
}

/// Why there is no config to work with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was asked for cannot be read.
    #[error("the config file {} cannot be read", safe(&file.display().to_string(), 300))]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file, flags or environment say something that cannot be.
    #[error("{}", Listed { file: file.as_ref(), problems })]
    Invalid {
        /// The file, if one was read.
        file: Option<PathBuf>,
        /// Everything that is wrong, by line.
        problems: Vec<Problem>,
    },
    /// There is no home directory to put the data in.
    #[error("there is no home directory for brine's data: give --data-dir DIR or set BRINE_DATA_DIR")]
    NoHome,
    /// The data directory cannot be made or looked at.
    #[error("the data directory {} cannot be used", safe(&dir.display().to_string(), 300))]
    DataDir {
        /// The directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others could put files into the data directory.
    #[error(
        "other users may write to the data directory {} (mode {mode:04o}): run chmod 700 on it, or choose another with --data-dir",
        safe(&dir.display().to_string(), 300)
    )]
    OpenToOthers {
        /// The directory.
        dir: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

struct Listed<'a> {
    file: Option<&'a PathBuf>,
    problems: &'a [Problem],
}

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            if let (Some(file), Some(place)) = (self.file, problem.place) {
                write!(
                    f,
                    "{}:{}:{}: ",
                    safe(&file.display().to_string(), 300),
                    place.line,
                    place.column
                )?;
            }
            f.write_str(&problem.text)?;
        }
        Ok(())
    }
}
