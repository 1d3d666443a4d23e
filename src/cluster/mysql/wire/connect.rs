//! From an endpoint to a session: socket, greeting, TLS, login.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use mysql_common::constants::CapabilityFlags as Cap;

use super::auth::{self, Road};
use super::handshake::Greeting;
use super::net::{self, Net};
use super::packet::{Limit, PacketStream};
use super::{WireError, answer, refusal, tls};
use crate::cluster::mysql::options::{Endpoint, MysqlOptions, TlsMode};

/// A connection that could not be made.
pub(super) struct Refused {
    /// Why.
    pub error: WireError,
    /// Whether a living server said so.
    pub answered: bool,
}

impl Refused {
    fn silent(error: WireError) -> Refused {
        Refused { error, answered: false }
    }

    fn by_server(error: WireError) -> Refused {
        Refused { error, answered: true }
    }

    /// An error before the login.
    fn early(endpoint: &Endpoint, user: &str, error: WireError) -> Refused {
        let answered = matches!(error, WireError::Server { .. });
        Refused {
            error: refusal::failed(endpoint, user, error),
            answered,
        }
    }
}

/// Connects and logs in before `end`.
pub(super) fn dial(
    options: &MysqlOptions,
    endpoint: &Endpoint,
    end: Instant,
) -> Result<(PacketStream, Greeting), Refused> {
    let password = (options.password)().map_err(|why| {
        let why = format!("there is no password for {}: {why}", options.user);
        Refused::by_server(refusal::refused(
            endpoint,
            why,
            "mend the cluster's password in the configuration",
        ))
    })?;
    let net = open(endpoint, end).map_err(Refused::silent)?;
    let mut stream = PacketStream::new(net, endpoint.to_string(), Limit::Until(end));
    let early = |e| Refused::early(endpoint, &options.user, e);
    let mut packet = Vec::new();
    stream.greeting(&mut packet).map_err(early)?;
    if packet.first() == Some(&0xFF) {
        return Err(early(answer::err(&packet)));
    }
    let greeting = Greeting::read(&packet).map_err(early)?;
    let road = secure(&mut stream, &greeting, options, endpoint, end)?;
    let encrypted = stream.is_encrypted();
    match auth::log_in(
        &mut stream,
        &greeting,
        encrypted,
        road,
        &options.user,
        password.reveal(),
    ) {
        Ok(_) => Ok((stream, greeting)),
        Err(e) => {
            let answered = !matches!(e, auth::AuthError::Wire(WireError::Lost { .. }));
            let error = refusal::login(endpoint, &options.user, encrypted, e);
            Err(Refused { error, answered })
        }
    }
}

/// Encrypts the road if that is asked for, and says how private it is.
fn secure(
    stream: &mut PacketStream,
    greeting: &Greeting,
    options: &MysqlOptions,
    endpoint: &Endpoint,
    end: Instant,
) -> Result<Road, Refused> {
    let Endpoint::Tcp { host, .. } = endpoint else {
        return Ok(Road::Private);
    };
    if options.tls.mode == TlsMode::Off {
        return Ok(Road::Open);
    }
    if !greeting.capabilities.contains(Cap::CLIENT_SSL) {
        return Err(Refused::by_server(refusal::refused(
            endpoint,
            "the server offers no TLS",
            "give the server a certificate (ssl_cert, ssl_key); only where nobody can listen, set tls = \"off\"",
        )));
    }
    let early = |e| Refused::early(endpoint, &options.user, e);
    stream.write(&[&greeting.head(true)]).map_err(early)?;
    stream.flush().map_err(early)?;
    let left = end.saturating_duration_since(Instant::now());
    stream
        .upgrade(|socket| {
            let timeout = Some(left.max(Duration::from_millis(1)));
            let set = socket
                .set_read_timeout(timeout)
                .and_then(|()| socket.set_write_timeout(timeout));
            set.map_err(|e| Refused::silent(refusal::unreachable(endpoint, &e)))?;
            tls::encrypt(&options.tls, host, socket)
                .map_err(|e| Refused::by_server(refusal::refused(endpoint, e.why, e.hint)))
        })
        .unwrap_or_else(|e| Err(early(e)))?;
    Ok(match options.tls.mode {
        TlsMode::VerifyCa | TlsMode::VerifyFull => Road::Private,
        TlsMode::Off | TlsMode::Encrypt => Road::Encrypted,
    })
}

/// Connects the socket.
fn open(endpoint: &Endpoint, end: Instant) -> Result<Net, WireError> {
    let unreachable = |e: &io::Error| refusal::unreachable(endpoint, e);
    let (host, port) = match endpoint {
        Endpoint::Socket(path) => return UnixStream::connect(path).map(Net::Unix).map_err(|e| unreachable(&e)),
        Endpoint::Tcp { host, port } => (host, port),
    };
    let host = host.trim_matches(['[', ']']);
    let addresses = (host, *port).to_socket_addrs().map_err(|e| {
        refusal::refused(
            endpoint,
            format!("the name {host} is not known ({e})"),
            "check the name, and the resolver of this host",
        )
    })?;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let left = end.saturating_duration_since(Instant::now());
        match TcpStream::connect_timeout(&address, left.max(Duration::from_millis(1))) {
            Ok(socket) => {
                net::tune(&socket).map_err(|e| unreachable(&e))?;
                return Ok(Net::Tcp(socket));
            }
            Err(e) => last = e,
        }
    }
    Err(unreachable(&last))
}
