//! How a server is reached.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Over TCP.
    Tcp {
        /// Name or address.
        host: String,
        /// Port, 3306 by default.
        port: u16,
    },
    /// A Unix socket.
    Socket(PathBuf),
}

impl Endpoint {
    /// Whether what is sent stays on this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Endpoint::Socket(_) => true,
            Endpoint::Tcp { host, .. } => {
                host == "localhost"
                    || host
                        .trim_matches(['[', ']'])
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|ip| ip.is_loopback())
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp { host, port } => write!(f, "{host}:{port}"),
            Endpoint::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A password; never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes it in.
    pub fn new(text: impl Into<String>) -> Self {
        Password(text.into())
    }

    /// The text, for the one who logs in.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// How much TLS is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// None, even if the server offers it.
    Off,
    /// Encrypted; the certificate is not checked.
    Encrypt,
    /// Encrypted; the certificate is by a trusted authority.
    VerifyCa,
    /// And it names this host.
    VerifyFull,
}

/// TLS to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// How much of it.
    pub mode: TlsMode,
    /// The authorities, PEM; the system's when `None`.
    pub ca: Option<PathBuf>,
}

/// Gives the password at every login, so that a changed one is found.
pub type PasswordSource = Arc<dyn Fn() -> Result<Password, String> + Send + Sync>;

/// Where a transaction is kept that is too large for memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolOptions {
    /// The folder; the system's for temporary files where nothing else is said.
    pub dir: PathBuf,
    /// So many bytes of a transaction stay in memory.
    pub memory: usize,
    /// Beyond that it is cut into pieces of so many bytes; one larger event makes a larger piece.
    pub piece: usize,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        SpoolOptions {
            dir: std::env::temp_dir(),
            memory: 8 << 20,
            piece: 2 << 20,
        }
    }
}

/// How a cluster of servers is reached.
#[derive(Clone)]
pub struct MysqlOptions {
    /// The servers, tried in order; the log follows the one that continues the history.
    pub endpoints: Vec<Endpoint>,
    /// The account.
    pub user: String,
    /// Its password.
    pub password: PasswordSource,
    /// TLS; not used on sockets.
    pub tls: TlsOptions,
    /// For connecting, and for an answer to a short statement.
    pub timeout: Duration,
    /// The replica id of our binlog stream; 0 for one made from host and process.
    pub server_id: u32,
    /// Whether commits at the server wait until the log backup has them in memory.
    pub semi_sync: bool,
    /// For so long a restore waits for locks that others hold on the tables that it replaces.
    pub switch_patience: Duration,
    /// For transactions that are too large for memory.
    pub spool: SpoolOptions,
    /// The last offset of a log file that a stream can be asked to begin at: the protocol has 32 bits for it. What is further
    /// on is reached from the file's beginning.
    pub reach: u32,
}

impl MysqlOptions {
    /// Options for one server, with verify-full off this machine.
    pub fn new(endpoint: Endpoint, user: impl Into<String>, password: Password) -> Self {
        let mode = if endpoint.is_local() {
            TlsMode::Off
        } else {
            TlsMode::VerifyFull
        };
        MysqlOptions {
            endpoints: vec![endpoint],
            user: user.into(),
            password: Arc::new(move || Ok(password.clone())),
            tls: TlsOptions { mode, ca: None },
            timeout: Duration::from_secs(10),
            server_id: 0,
            semi_sync: false,
            switch_patience: Duration::from_secs(600),
            spool: SpoolOptions::default(),
            reach: u32::MAX,
        }
    }
}
