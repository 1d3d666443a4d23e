//! A MySQL or MariaDB server as the operator writes it: where it listens, who logs in, how it is encrypted.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::document::{At, Section};
use super::error::Place;
use super::paths::read_path;
use super::read::Reader;
use super::secret::{SecretCommand, SecretSource};
use crate::model::text::{nearest, safe};

/// The port when none is written.
const PORT: u16 = 3306;
/// How a password is written.
const PASSWORD_FORM: &str =
    "where the password is kept, { env = \"NAME\" }, { file = \"PATH\" } or { command = \"...\" }";

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where it listens; several for servers that replicate each other, tried in order. Never empty.
    pub places: Vec<ServerPlace>,
    /// The account.
    pub user: String,
    /// Its password.
    pub password: SecretSource,
    /// How much TLS; when not written, verify-full, and none where nothing leaves this host.
    pub tls: Option<TlsWish>,
    /// The authorities that are trusted, PEM; the system's when not written.
    pub tls_ca: Option<PathBuf>,
    /// The replica id of the log backup; made from host and process when not written.
    pub server_id: Option<u32>,
    /// Whether commits wait until the log backup has them in memory.
    pub semi_sync: bool,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerPlace {
    /// Over TCP.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Socket(PathBuf),
}

impl fmt::Display for ServerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerPlace::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            ServerPlace::Tcp { host, port } => write!(f, "{host}:{port}"),
            ServerPlace::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How much TLS is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsWish {
    /// None.
    Off,
    /// Encrypted; the certificate is not checked.
    Encrypt,
    /// Encrypted; the certificate is by a trusted authority.
    VerifyCa,
    /// And it names the host.
    VerifyFull,
}

impl TlsWish {
    const ALL: [TlsWish; 4] = [TlsWish::Off, TlsWish::Encrypt, TlsWish::VerifyCa, TlsWish::VerifyFull];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            TlsWish::Off => "off",
            TlsWish::Encrypt => "encrypt",
            TlsWish::VerifyCa => "verify-ca",
            TlsWish::VerifyFull => "verify-full",
        }
    }

    fn parse(text: &str) -> Result<TlsWish, String> {
        if let Some(wish) = TlsWish::ALL.into_iter().find(|w| w.word() == text) {
            return Ok(wish);
        }
        let words = TlsWish::ALL.map(TlsWish::word);
        let advice = match nearest(text, words) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("write one of {}", words.join(", ")),
        };
        Err(format!("`{}` is no TLS mode: {advice}", safe(text, 40)))
    }
}

/// Where a cluster's own values stand; `None` for those that nobody wrote.
#[derive(Default)]
pub(super) struct ServerPlaces {
    pub path: Option<Place>,
    pub listens: Option<Place>,
    pub user: Option<Place>,
    pub password: Option<Place>,
    pub tls: Option<Place>,
    pub tls_ca: Option<Place>,
    pub server_id: Option<Place>,
    pub semi_sync: Option<Place>,
}

impl ServerConfig {
    /// The lines of `config show`; of the password, where it comes from.
    pub(super) fn shown(&self, written: &ServerPlaces) -> Vec<(&'static str, String, Option<Place>)> {
        let places: Vec<String> = self.places.iter().map(ToString::to_string).collect();
        let listens = match self.places.first() {
            Some(ServerPlace::Socket(_)) => "socket",
            _ => "hosts",
        };
        let tls = self.tls.map_or("verify-full, off on this host", TlsWish::word);
        let mut lines = vec![
            (listens, safe(&places.join(", "), 300), written.listens),
            ("user", safe(&self.user, 80), written.user),
            ("password", self.password.to_string(), written.password),
            ("tls", tls.to_owned(), written.tls),
        ];
        if let Some(ca) = &self.tls_ca {
            lines.push(("tls_ca", ca.display().to_string(), written.tls_ca));
        }
        if let Some(id) = self.server_id {
            lines.push(("server_id", id.to_string(), written.server_id));
        }
        if self.semi_sync {
            lines.push(("semi_sync", self.semi_sync.to_string(), written.semi_sync));
        }
        lines
    }
}

/// Reads the keys of a server; what is wrong goes to the document's problems.
pub(super) fn read(reader: &Reader<'_, '_>, section: &mut Section<'_, '_>) -> Option<(ServerConfig, ServerPlaces)> {
    let places = read_places(reader, section);
    let user = section.string("user");
    let user = section.needed("user", user, "\"backup\"");
    let user = user.and_then(|u| {
        reader.checked(u, |text| match text.is_empty() || text.contains('\0') {
            true => Err("a user's name cannot be empty or hold a zero byte"),
            false => Ok(text),
        })
    });
    let password = read_password(reader, section);
    let tls = section.string("tls");
    let (no_tls, tls) = optional(tls, |at| reader.checked(at, |text| TlsWish::parse(&text)));
    let base = reader.base();
    let ca = section.string("tls_ca");
    let (no_ca, ca) = optional(ca, |at| reader.checked(at, |text| read_path(&base, &text)));
    let server_id = section.number("server_id", 1..=u32::MAX);
    let semi_sync = section.boolean("semi_sync");
    let (places, user, password) = (places?, user?, password?);
    if no_tls || no_ca || (server_id.is_none() && section.has("server_id")) {
        return None;
    }
    if let Some(ca) = &ca
        && !matches!(
            tls.as_ref().map(|t| t.value),
            None | Some(TlsWish::VerifyCa | TlsWish::VerifyFull)
        )
    {
        let text = "`tls_ca` is of no use unless `tls` is \"verify-ca\" or \"verify-full\"";
        reader.document.problem(ca.place, text);
    }
    let written = ServerPlaces {
        path: None,
        listens: Some(places.place),
        user: Some(user.place),
        password: section.has("password").then_some(password.place),
        tls: tls.as_ref().map(|t| t.place),
        tls_ca: ca.as_ref().map(|c| c.place),
        server_id: server_id.as_ref().map(|i| i.place),
        semi_sync: semi_sync.as_ref().map(|s| s.place),
    };
    let server = ServerConfig {
        places: places.value,
        user: user.value,
        password: password.value,
        tls: tls.map(|t| t.value),
        tls_ca: ca.map(|c| c.value),
        server_id: server_id.map(|i| i.value),
        semi_sync: semi_sync.is_some_and(|s| s.value),
    };
    Some((server, written))
}

/// Whether a value was there and wrong, and the value.
fn optional<T, U>(written: Option<At<T>>, read: impl FnOnce(At<T>) -> Option<At<U>>) -> (bool, Option<At<U>>) {
    match written {
        None => (false, None),
        Some(at) => {
            let value = read(at);
            (value.is_none(), value)
        }
    }
}

fn read_places(reader: &Reader<'_, '_>, section: &mut Section<'_, '_>) -> Option<At<Vec<ServerPlace>>> {
    let (hosts, socket) = (section.strings("hosts"), section.string("socket"));
    match (section.has("hosts"), section.has("socket")) {
        (true, true) => {
            let text = "write either `hosts` or `socket`, not both";
            reader.document.problem(section.place(), text);
            return None;
        }
        (false, false) => return section.needed("hosts", None, "[\"db-1:3306\"]; or `socket`, a path"),
        _ => {}
    }
    if let Some(socket) = socket {
        let base = reader.base();
        let path = reader.checked(socket, |text| read_path(&base, &text))?;
        return Some(At {
            value: vec![ServerPlace::Socket(path.value)],
            place: path.place,
        });
    }
    let At { value: hosts, place } = hosts?;
    if hosts.is_empty() {
        reader.document.problem(place, "a cluster needs at least one host");
        return None;
    }
    let mut places: Vec<ServerPlace> = Vec::new();
    for host in hosts {
        let host = reader.checked(host, |text| read_host(&text))?;
        if places.contains(&host.value) {
            reader
                .document
                .problem(host.place, format!("host {} is named twice", host.value));
        }
        places.push(host.value);
    }
    Some(At { value: places, place })
}

/// Reads `host`, `host:port`, an address, or `[address]:port`.
fn read_host(text: &str) -> Result<ServerPlace, String> {
    let wrong = |why: &str| Err(format!("`{}` is no host: {why}", safe(text, 80)));
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((address, after)) = rest.split_once(']') else {
            return wrong("a bracket is not closed");
        };
        let Ok(IpAddr::V6(_)) = address.parse() else {
            return wrong("in brackets stands an IPv6 address");
        };
        match after.strip_prefix(':') {
            Some(port) => (address, Some(port)),
            None if after.is_empty() => (address, None),
            None => return wrong("behind the bracket stands `:port`"),
        }
    } else if text.parse::<std::net::Ipv6Addr>().is_ok() {
        (text, None)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.is_empty() || host.len() > 255 || !host.chars().all(name) {
        return wrong("write a name or an address, for example \"db-1:3306\"");
    }
    let port = match port {
        None => PORT,
        Some(digits) => match digits.parse::<u16>() {
            Ok(port) if port > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => port,
            _ => return wrong("a port is a number from 1 to 65535"),
        },
    };
    Ok(ServerPlace::Tcp {
        host: host.to_owned(),
        port,
    })
}

fn read_password(reader: &Reader<'_, '_>, section: &mut Section<'_, '_>) -> Option<At<SecretSource>> {
    let here = section.place();
    let inner = section.section_like("password", "`password`", PASSWORD_FORM);
    if !section.has("password") {
        return Some(At {
            value: SecretSource::None,
            place: here,
        });
    }
    let mut inner = inner?;
    let place = inner.place();
    let (env, file, command) = (inner.string("env"), inner.string("file"), inner.strings("command"));
    let written = ["env", "file", "command"].iter().filter(|k| inner.has(k)).count();
    inner.finish();
    if written != 1 {
        reader
            .document
            .problem(place, format!("`password` must be {PASSWORD_FORM}"));
        return None;
    }
    let base = reader.base();
    let value = match (env, file, command) {
        (Some(env), ..) => {
            let bad = |name: &str| name.is_empty() || name.contains(['=', '\0']);
            let checked = reader.checked(env, |name| match bad(&name) {
                true => Err(format!("`{}` is no name of an environment variable", safe(&name, 60))),
                false => Ok(name),
            });
            SecretSource::Env(checked?.value)
        }
        (_, Some(file), _) => SecretSource::File(reader.checked(file, |text| read_path(&base, &text))?.value),
        (.., Some(At { value: words, place })) => {
            let words: Vec<String> = words.into_iter().map(|w| w.value).collect();
            SecretSource::Command(match words.as_slice() {
                [] => {
                    reader.document.problem(place, "a command cannot be empty");
                    return None;
                }
                [line] => SecretCommand::Shell(line.clone()),
                _ => SecretCommand::Program(words),
            })
        }
        _ => return None,
    };
    Some(At { value, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_in_their_usual_forms() {
        let tcp = |host: &str, port| {
            Ok(ServerPlace::Tcp {
                host: host.to_owned(),
                port,
            })
        };
        assert_eq!(read_host("db-1"), tcp("db-1", 3306));
        assert_eq!(read_host("db-1.example:3307"), tcp("db-1.example", 3307));
        assert_eq!(read_host("127.0.0.1:1"), tcp("127.0.0.1", 1));
        assert_eq!(read_host("::1"), tcp("::1", 3306));
        assert_eq!(read_host("[::1]"), tcp("::1", 3306));
        assert_eq!(read_host("[fe80::1]:3310"), tcp("fe80::1", 3310));
        for bad in [
            "",
            ":3306",
            "db:",
            "db:0",
            "db:65536",
            "db:+1",
            "db 1",
            "a@b",
            "[::1",
            "[db]:1",
            "[::1]x",
            "a:1:2",
            "mysql://db",
        ] {
            assert!(read_host(bad).is_err(), "{bad}");
        }
        let shown = |text| read_host(text).unwrap().to_string();
        assert_eq!(
            (shown("::1"), shown("a")),
            ("[::1]:3306".to_owned(), "a:3306".to_owned())
        );
    }
}
