//! Servers that follow a script, for tests: every way a login and an answer can go, and every way they can go wrong.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;
use std::time::Duration;

use super::packet::CONTINUED;
use super::parse::put_string;
use super::{Conn, WireError};
use crate::cluster::mysql::{Endpoint, MysqlOptions, Password};

/// The password of all these tests.
pub const SECRET: &str = "s3cret";
/// The scramble that the servers send.
pub const NONCE: &[u8; 20] = b"abcdefghijklmnopqrst";

trait Both: Read + Write + Send {}
impl Both for TcpStream {}
impl Both for UnixStream {}

/// The server's end of a connection.
pub struct Peer {
    socket: Box<dyn Both>,
    pub seq: u8,
}

impl Peer {
    /// Sends bytes as they are; the client may be gone.
    pub fn raw(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }

    /// Sends a payload in packets.
    pub fn send(&mut self, payload: &[u8]) {
        let packets = packets(payload, &mut self.seq);
        self.raw(&packets);
    }

    /// So many bytes.
    pub fn take(&mut self, bytes: &mut [u8]) {
        self.socket.read_exact(bytes).unwrap();
    }

    /// One byte, unless the client is gone.
    pub fn is_gone(&mut self) -> bool {
        !matches!(self.socket.read(&mut [0]), Ok(1))
    }

    /// A payload of the client, or `None` when it is gone.
    pub fn recv(&mut self) -> Option<Vec<u8>> {
        let mut payload = Vec::new();
        loop {
            let mut head = [0; 4];
            self.socket.read_exact(&mut head).ok()?;
            let [a, b, c, seq] = head;
            let len = u32::from_le_bytes([a, b, c, 0]) as usize;
            self.seq = seq.wrapping_add(1);
            let from = payload.len();
            payload.resize(from + len, 0);
            self.socket.read_exact(&mut payload[from..]).ok()?;
            if len < CONTINUED {
                return Some(payload);
            }
        }
    }

    pub fn greet(&mut self, plugin: &str) {
        let greeting = greeting("5.5.5-10.11.19-MariaDB", 0x81BF_F7FE, plugin);
        self.send(&greeting);
    }

    pub fn ok(&mut self) {
        self.send(&[0, 0, 0, 2, 0, 0, 0]);
    }

    pub fn err(&mut self, code: u16, message: &str) {
        let [a, b] = code.to_le_bytes();
        self.send(&[&[0xFF, a, b], b"#HY000".as_slice(), message.as_bytes()].concat());
    }

    pub fn eof(&mut self) {
        self.send(&[0xFE, 0, 0, 2, 0]);
    }

    /// The head of a result with so many columns.
    pub fn columns(&mut self, n: u8) {
        self.send(&[n]);
        for _ in 0..n {
            self.send(b"\x03def");
        }
        self.eof();
    }

    /// Lets the client in by its first answer, and tells it its id.
    pub fn let_in(&mut self) {
        self.greet("mysql_native_password");
        self.recv();
        self.ok();
        self.tell_id();
    }

    /// Answers the question after the login.
    pub fn tell_id(&mut self) {
        let question = self.recv();
        assert!(question.unwrap().starts_with(b"\x03SELECT CONNECTION_ID(), GET_LOCK("));
        self.columns(1);
        self.send(b"\x0277");
        self.eof();
    }
}

/// A payload in its packets.
pub fn packets(payload: &[u8], seq: &mut u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = payload;
    loop {
        let (now, later) = rest.split_at(rest.len().min(CONTINUED));
        out.extend_from_slice(&(now.len() as u32).to_le_bytes()[..3]);
        out.push(*seq);
        *seq = seq.wrapping_add(1);
        out.extend_from_slice(now);
        rest = later;
        if now.len() < CONTINUED {
            return out;
        }
    }
}

/// A greeting with these capabilities.
pub fn greeting(version: &str, capabilities: u32, plugin: &str) -> Vec<u8> {
    let [a, b, c, d] = capabilities.to_le_bytes();
    let mut out = vec![10];
    out.extend_from_slice(version.as_bytes());
    out.extend_from_slice(&[0, 5, 0, 0, 0]);
    out.extend_from_slice(&NONCE[..8]);
    out.extend_from_slice(&[0, a, b, 45, 2, 0, c, d, 21]);
    out.extend_from_slice(&[0; 6]);
    out.extend_from_slice(&4u32.to_le_bytes());
    out.extend_from_slice(&NONCE[8..]);
    out.push(0);
    out.extend_from_slice(plugin.as_bytes());
    out.push(0);
    out
}

/// A server on a TCP port that plays this script with its first client.
pub fn on_tcp(script: impl FnOnce(&mut Peer) + Send + 'static) -> (MysqlOptions, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        drop(listener);
        play(Box::new(socket), script);
    });
    let host = "127.0.0.1".to_owned();
    (options(Endpoint::Tcp { host, port }), server)
}

/// The same on a Unix socket.
pub fn on_socket(script: impl FnOnce(&mut Peer) + Send + 'static) -> (MysqlOptions, JoinHandle<()>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        drop(listener);
        drop(dir);
        play(Box::new(socket), script);
    });
    (options(Endpoint::Socket(path)), server)
}

fn play(socket: Box<dyn Both>, script: impl FnOnce(&mut Peer)) {
    script(&mut Peer { socket, seq: 0 });
}

fn options(endpoint: Endpoint) -> MysqlOptions {
    let mut options = MysqlOptions::new(endpoint, "bob", Password::new(SECRET));
    options.timeout = Duration::from_secs(20);
    options
}

/// Connects; no error may show the password.
pub fn connect(options: &MysqlOptions) -> Result<Conn, WireError> {
    let result = Conn::connect(options, &options.endpoints[0]);
    if let Err(e) = &result {
        let shown = format!("{e} {e:?}");
        assert!(!shown.contains(SECRET), "{shown}");
    }
    result
}

/// The error of a login that this script refuses.
pub fn refusal(script: impl FnOnce(&mut Peer) + Send + 'static) -> String {
    let (options, server) = on_tcp(script);
    let e = connect(&options).err().expect("the login must fail").to_string();
    server.join().unwrap();
    e
}

/// A connection that is let in over a socket, whose server then plays the script.
pub fn logged_in(script: impl FnOnce(&mut Peer) + Send + 'static) -> (Conn, JoinHandle<()>) {
    let (options, server) = on_socket(move |peer| {
        peer.let_in();
        script(peer);
    });
    (connect(&options).unwrap(), server)
}

/// A row of the text protocol.
pub fn row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        match value {
            None => out.push(0xFB),
            Some(bytes) => put_string(&mut out, bytes),
        }
    }
    out
}
