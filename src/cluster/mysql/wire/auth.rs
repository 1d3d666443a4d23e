//! Logging in: the plugins that prove a password.
//!
//! *Invariant: a password leaves in clear only where nobody can read it: in verified TLS or through a Unix socket, and as
//! caching_sha2_password and sha256_password ask for it, also in TLS that was asked for without verification. Otherwise it is
//! encrypted with the server's RSA key.*

use mysql_common::auth::plugins::{caching_sha2_password, mysql_native_password};

use super::answer;
use super::handshake::Greeting;
use super::packet::PacketStream;
use super::sign;
use super::{Done, WireError};

/// The plugins that we can answer.
const NATIVE: &str = "mysql_native_password";
const SHA2: &str = "caching_sha2_password";
const CLEAR: &str = "mysql_clear_password";
const SHA256: &str = "sha256_password";
/// MariaDB's signatures.
const ED25519: &str = "client_ed25519";
const PARSEC: &str = "parsec";
/// MariaDB's PAM: questions and answers.
const DIALOG: &str = "dialog";
/// MariaDB's and MySQL's names for "who is on the other end of the socket".
const SOCKET: &[&str] = &["unix_socket", "auth_socket"];
/// More rounds than any login takes.
const ROUNDS: usize = 12;

/// How well the road to the server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Road {
    /// Anyone may read it.
    Open,
    /// Encrypted, to whoever answered.
    Encrypted,
    /// A Unix socket, or verified TLS.
    Private,
}

/// What ended a login, other than the server's own error.
#[derive(Debug)]
pub(super) enum AuthError {
    /// An error of the server or the connection.
    Wire(WireError),
    /// The account uses this plugin, and we cannot answer it here.
    Plugin(String),
    /// The password would have to be sent in clear on an open road.
    ClearOnOpenRoad(String),
    /// The plugin asks for more than a password.
    Question(String),
    /// The server's public key cannot be used.
    Key,
}

/// The server sent something else than what is to be signed.
struct NotToSign;

const NOT_TO_SIGN: NotToSign = NotToSign;

impl From<NotToSign> for AuthError {
    fn from(_: NotToSign) -> Self {
        WireError::Protocol("the server sent nothing that can be signed for the login".to_owned()).into()
    }
}

impl From<WireError> for AuthError {
    fn from(e: WireError) -> Self {
        AuthError::Wire(e)
    }
}

/// Sends our answer to the greeting and goes on until the server lets us in.
pub(super) fn log_in(
    stream: &mut PacketStream,
    greeting: &Greeting,
    tls: bool,
    road: Road,
    user: &str,
    password: &str,
) -> Result<Done, AuthError> {
    let mut login = Login {
        nonce: greeting.nonce.clone(),
        plugin: match greeting.plugin.as_str() {
            SHA2 => SHA2.to_owned(),
            _ => NATIVE.to_owned(),
        },
        password,
        road,
        tls,
        told: false,
    };
    let proof = login.proof()?;
    stream.write(&[&greeting.answer(tls, user, &login.plugin, &proof)])?;
    stream.flush()?;
    let mut packet = Vec::new();
    for _ in 0..ROUNDS {
        packet.clear();
        stream.packet(&mut packet)?;
        match packet.split_first() {
            Some((0x00, _)) => return Ok(answer::ok(&packet)?.0),
            Some((0xFF, _)) => return Err(answer::err(&packet).into()),
            Some((0xFE, [])) => return Err(AuthError::Plugin("mysql_old_password".to_owned())),
            Some((0xFE, rest)) => {
                login.switch(rest)?;
                let proof = match (login.plugin.as_str(), login.nonce.first()) {
                    (DIALOG, Some(kind)) => login.answer(*kind)?,
                    _ => login.proof()?,
                };
                stream.write(&[&proof])?;
                stream.flush()?;
            }
            Some((0x01, rest)) => login.more(stream, rest)?,
            Some((kind @ 2..=5, _)) if login.plugin == DIALOG => {
                let answer = login.answer(*kind)?;
                stream.write(&[&answer])?;
                stream.flush()?;
            }
            _ => return Err(WireError::Protocol("an unknown packet in the login".to_owned()).into()),
        }
    }
    Err(WireError::Protocol("the login does not end".to_owned()).into())
}

struct Login<'a> {
    nonce: Vec<u8>,
    plugin: String,
    password: &'a str,
    road: Road,
    /// sha256_password takes a Unix socket for an open road.
    tls: bool,
    /// The password was given as an answer.
    told: bool,
}

impl Login<'_> {
    /// The server wants another plugin.
    fn switch(&mut self, rest: &[u8]) -> Result<(), AuthError> {
        let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
        let (name, nonce) = rest.split_at(end);
        self.plugin = String::from_utf8_lossy(name).into_owned();
        let nonce = nonce.strip_prefix(&[0]).unwrap_or(nonce);
        // What is to be signed may end in any byte.
        let whole = nonce.get(..sign::SCRAMBLE).filter(|_| self.signs());
        self.nonce = whole.unwrap_or(nonce.strip_suffix(&[0]).unwrap_or(nonce)).to_vec();
        Ok(())
    }

    /// Whether the plugin signs what the server sends.
    fn signs(&self) -> bool {
        self.plugin == ED25519 || self.plugin == PARSEC
    }

    /// The first answer that the plugin gives.
    fn proof(&self) -> Result<Vec<u8>, AuthError> {
        let password = self.password.as_bytes();
        let nonce = <&[u8; 20]>::try_from(self.nonce.as_slice());
        match self.plugin.as_str() {
            NATIVE | SHA2 => {
                let nonce = nonce.map_err(|_| WireError::Protocol("the scramble is not 20 bytes".to_owned()))?;
                Ok(if self.plugin == NATIVE {
                    mysql_native_password::scramble_native(nonce, password).map(|p| p.to_vec())
                } else {
                    caching_sha2_password::scramble_sha256(nonce, password).map(|p| p.to_vec())
                }
                .unwrap_or_default())
            }
            // An empty one is a zero; a 1 asks for the server's key.
            SHA256 if password.is_empty() => Ok(vec![0]),
            SHA256 if !self.tls => Ok(vec![1]),
            SHA256 => Ok(with_zero(password)),
            CLEAR if self.road == Road::Private => Ok(with_zero(password)),
            CLEAR => Err(AuthError::ClearOnOpenRoad(self.plugin.clone())),
            ED25519 => Ok(sign::ed25519(password, &self.nonce).ok_or(NOT_TO_SIGN)?),
            // How the key is derived comes next.
            PARSEC => Ok(Vec::new()),
            other if SOCKET.contains(&other) => Ok(Vec::new()),
            other => Err(AuthError::Plugin(other.to_owned())),
        }
    }

    /// The answer to a question: the password to the first one that asks for it. What else may be asked, such as a code that
    /// is valid once, cannot be known.
    fn answer(&mut self, kind: u8) -> Result<Vec<u8>, AuthError> {
        if self.road != Road::Private {
            return Err(AuthError::ClearOnOpenRoad(self.plugin.clone()));
        }
        // The lowest bit marks the last question.
        if kind >> 1 != 2 || self.told {
            return Err(AuthError::Question(self.plugin.clone()));
        }
        self.told = true;
        Ok(with_zero(self.password.as_bytes()))
    }

    /// The plugin's second round.
    fn more(&self, stream: &mut PacketStream, rest: &[u8]) -> Result<(), AuthError> {
        match (self.plugin.as_str(), rest) {
            (SHA256, key) if !self.tls => {
                let secret = self.under(key)?;
                stream.write(&[&secret])?;
                Ok(stream.flush()?)
            }
            (PARSEC, how) => {
                let signed = sign::parsec(self.password.as_bytes(), &self.nonce, how).ok_or(NOT_TO_SIGN)?;
                stream.write(&[&signed])?;
                Ok(stream.flush()?)
            }
            (SHA2, [3]) => Ok(()),
            (SHA2, [4]) => {
                let secret = if self.road == Road::Open {
                    self.encrypted(stream)?
                } else {
                    with_zero(self.password.as_bytes())
                };
                stream.write(&[&secret])?;
                Ok(stream.flush()?)
            }
            _ => Err(WireError::Protocol("an unknown question in the login".to_owned()).into()),
        }
    }

    /// The password under the server's key, which is asked for.
    fn encrypted(&self, stream: &mut PacketStream) -> Result<Vec<u8>, AuthError> {
        stream.write(&[&[2]])?;
        stream.flush()?;
        let mut packet = Vec::new();
        stream.packet(&mut packet)?;
        match packet.split_first() {
            Some((0x01, key)) => self.under(key),
            Some((0xFF, _)) => Err(answer::err(&packet).into()),
            _ => Err(AuthError::Key),
        }
    }

    /// The password under a key.
    fn under(&self, key: &[u8]) -> Result<Vec<u8>, AuthError> {
        if !super::rsa::is_public_key(key) {
            return Err(AuthError::Key);
        }
        let mut secret = with_zero(self.password.as_bytes());
        if secret.len() > 200 {
            return Err(AuthError::ClearOnOpenRoad(self.plugin.clone()));
        }
        for (byte, mask) in secret.iter_mut().zip(self.nonce.iter().cycle()) {
            *byte ^= mask;
        }
        mysql_common::crypto::encrypt(&secret, key).map_err(|_| AuthError::Key)
    }
}

fn with_zero(password: &[u8]) -> Vec<u8> {
    let mut out = password.to_vec();
    out.push(0);
    out
}
