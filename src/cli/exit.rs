//! Exit codes.

use crate::config::ConfigError;
use crate::service::desk::RefusalKind;

/// What the process tells its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done.
    Done = 0,
    /// It was tried and failed.
    Failed = 1,
    /// Wrong usage or config.
    Usage = 2,
    /// No such cluster, backup, job or change.
    NotFound = 3,
    /// Needs a confirmation, protected, read-only, conflict.
    Refused = 4,
    /// Corrupt data or wrong key.
    Corrupt = 5,
    /// Cancelled.
    Cancelled = 130,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        std::process::ExitCode::from(code as u8)
    }
}

impl From<RefusalKind> for ExitCode {
    fn from(kind: RefusalKind) -> Self {
        match kind {
            RefusalKind::Failed => ExitCode::Failed,
            RefusalKind::Usage => ExitCode::Usage,
            RefusalKind::NotFound => ExitCode::NotFound,
            RefusalKind::Refused => ExitCode::Refused,
            RefusalKind::Corrupt => ExitCode::Corrupt,
            RefusalKind::Cancelled => ExitCode::Cancelled,
        }
    }
}

impl From<&ConfigError> for ExitCode {
    fn from(error: &ConfigError) -> Self {
        match error {
            ConfigError::Read { .. } | ConfigError::Invalid { .. } | ConfigError::NoHome => ExitCode::Usage,
            ConfigError::DataDir { .. } => ExitCode::Failed,
            ConfigError::OpenToOthers { .. } => ExitCode::Refused,
        }
    }
}

impl From<&clap::Error> for ExitCode {
    /// Help and version are "errors" that went well.
    fn from(error: &clap::Error) -> Self {
        if error.use_stderr() {
            ExitCode::Usage
        } else {
            ExitCode::Done
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Cli;

    #[test]
    fn numbers_are_those_that_scripts_know() {
        let kinds = [
            (RefusalKind::Failed, 1),
            (RefusalKind::Usage, 2),
            (RefusalKind::NotFound, 3),
            (RefusalKind::Refused, 4),
            (RefusalKind::Corrupt, 5),
            (RefusalKind::Cancelled, 130),
        ];
        for (kind, number) in kinds {
            assert_eq!(ExitCode::from(kind) as u8, number);
        }
    }

    #[test]
    fn help_is_no_failure_and_a_typo_is_wrong_usage() {
        let code = |args: &[&str]| ExitCode::from(&Cli::parse_args(args).unwrap_err());
        assert_eq!(code(&["brine", "--help"]), ExitCode::Done);
        assert_eq!(code(&["brine", "--version"]), ExitCode::Done);
        assert_eq!(code(&["brine", "bakcup"]), ExitCode::Usage);
        assert_eq!(code(&["brine", "backup"]), ExitCode::Usage);
    }
}
