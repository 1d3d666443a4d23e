//! Every way into a server, and every way of being turned away.

use std::time::{Duration, Instant};

use mysql_common::auth::plugins::{caching_sha2_password, mysql_native_password};
use proptest::prelude::*;

use super::scripted::{NONCE, Peer, SECRET, connect, greeting, on_socket, on_tcp, refusal};
use crate::cluster::mysql::TlsMode;

const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA9QKCzurBSTLJQ551CTjy\n\
    BiONO68vIODKSHXueXbTn5eg7GHlEF3BHgvgJj3XfMPT1H9gKdDyPeXphvqJemCP\n\
    uDZPtgVU9M640Si2WujD2zpfBGnWEKkUXR3c5YzSfDqTsYqG0hZ9a5dwilshiD9X\n\
    P+txbbfS135bmvctt/NJf3DMRQG+18YT+wSuguqL8UPeiNvWy+nRqXWWVTSc9jZg\n\
    6cZX8wAygwSxFPY9EFfmQqrFTikqCkQATf4lxf4jYFW456Cb437wuCQnqKb8undg\n\
    RSgLdq4a/ZtyCOqcVMMlEFL/cQtTF3GMtaNHr+BybfQqVzWzXe/Q4YBqr1xFEFjk\n\
    3wIDAQAB\n\
    -----END PUBLIC KEY-----";

fn native(nonce: &[u8]) -> Vec<u8> {
    mysql_native_password::scramble_native(nonce, SECRET.as_bytes())
        .unwrap()
        .to_vec()
}

fn sha2(nonce: &[u8; 20]) -> Vec<u8> {
    caching_sha2_password::scramble_sha256(nonce, SECRET.as_bytes())
        .unwrap()
        .to_vec()
}

/// Whether our answer to the greeting holds this user and proof.
fn assert_answer(answer: &[u8], proof: &[u8]) {
    assert!(answer[32..].starts_with(b"bob\0"), "the user");
    assert_eq!(usize::from(answer[36]), proof.len());
    assert!(answer[37..].starts_with(proof), "the proof");
}

#[test]
fn native_password() {
    let (options, server) = on_tcp(|peer| {
        peer.greet("mysql_native_password");
        assert_answer(&peer.recv().unwrap(), &native(NONCE));
        peer.ok();
        peer.tell_id();
    });
    let conn = connect(&options).unwrap();
    assert_eq!(conn.info().connection_id, 77);
    assert_eq!(conn.info().version, (10, 11, 19));
    assert_eq!(conn.info().version_text, "10.11.19-MariaDB");
    assert!(conn.has_bulk());
    server.join().unwrap();
}

#[test]
fn sha2_that_the_server_remembers() {
    let (options, server) = on_tcp(|peer| {
        peer.send(&greeting("9.7.0", 0x81BF_F7FF, "caching_sha2_password"));
        assert_answer(&peer.recv().unwrap(), &sha2(NONCE));
        peer.send(&[1, 3]);
        peer.ok();
        peer.tell_id();
    });
    let conn = connect(&options).unwrap();
    assert!(!conn.has_bulk());
    server.join().unwrap();
}

#[test]
fn sha2_in_full_over_a_socket_sends_the_password() {
    let (options, server) = on_socket(|peer| {
        peer.greet("caching_sha2_password");
        peer.recv();
        peer.send(&[1, 4]);
        assert_eq!(peer.recv().unwrap(), format!("{SECRET}\0").into_bytes());
        peer.ok();
        peer.tell_id();
    });
    connect(&options).unwrap();
    server.join().unwrap();
}

#[test]
fn sha2_in_full_over_open_tcp_encrypts_the_password() {
    let (options, server) = on_tcp(|peer| {
        peer.greet("caching_sha2_password");
        peer.recv();
        peer.send(&[1, 4]);
        assert_eq!(peer.recv().unwrap(), [2]);
        peer.send(&[b"\x01", KEY.as_bytes()].concat());
        assert_eq!(peer.recv().unwrap().len(), 256);
        peer.ok();
        peer.tell_id();
    });
    connect(&options).unwrap();
    server.join().unwrap();
}

#[test]
fn sha256_sends_the_password_under_the_servers_key() {
    let ask = |peer: &mut Peer| {
        peer.greet("mysql_native_password");
        peer.recv();
        peer.send(&[b"\xFEsha256_password\0", &NONCE[..], b"\0"].concat());
    };
    let answers = move |peer: &mut Peer| {
        ask(peer);
        assert_eq!(peer.recv().unwrap(), [1]);
        peer.send(&[b"\x01", KEY.as_bytes()].concat());
        assert_eq!(peer.recv().unwrap().len(), 256);
        peer.ok();
        peer.tell_id();
    };
    // A Unix socket is an open road for this plugin.
    for (options, server) in [on_tcp(answers), on_socket(answers)] {
        connect(&options).unwrap();
        server.join().unwrap();
    }
}

#[test]
fn a_dialog_is_given_the_password_once_and_only_where_nobody_listens() {
    let ask = |peer: &mut Peer| {
        peer.greet("mysql_native_password");
        peer.recv();
        peer.send(b"\xFEdialog\0\x04Password: ");
    };
    let (options, server) = on_socket(move |peer| {
        ask(peer);
        assert_eq!(peer.recv().unwrap(), format!("{SECRET}\0").into_bytes());
        peer.ok();
        peer.tell_id();
    });
    connect(&options).unwrap();
    server.join().unwrap();
    let (options, server) = on_socket(move |peer| {
        ask(peer);
        peer.recv();
        peer.send(b"\x05Code: ");
        assert!(peer.is_gone());
    });
    let e = connect(&options).err().unwrap().to_string();
    assert!(e.contains("more than its password"), "{e}");
    server.join().unwrap();
    let e = refusal(move |peer| {
        ask(peer);
        assert!(peer.is_gone());
    });
    assert!(e.contains("in clear (dialog)"), "{e}");
}

#[test]
fn a_bad_key_gets_nothing() {
    for key in [
        "",
        "x",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        &KEY[..200],
    ] {
        let key = key.to_owned();
        let e = refusal(move |peer| {
            peer.greet("caching_sha2_password");
            peer.recv();
            peer.send(&[1, 4]);
            peer.recv();
            peer.send(&[b"\x01", key.as_bytes()].concat());
            assert!(peer.is_gone());
        });
        assert!(e.contains("public key"), "{e}");
    }
}

#[test]
fn a_switch_brings_a_new_scramble() {
    const OTHER: &[u8; 20] = b"ABCDEFGHIJKLMNOPQRST";
    for plugin in ["mysql_native_password", "caching_sha2_password"] {
        let (options, server) = on_tcp(move |peer| {
            peer.greet("somebody's");
            peer.recv();
            peer.send(&[b"\xFE", plugin.as_bytes(), b"\0", OTHER, b"\0"].concat());
            let proof = if plugin.starts_with('m') {
                native(OTHER)
            } else {
                sha2(OTHER)
            };
            assert_eq!(peer.recv().unwrap(), proof);
            peer.ok();
            peer.tell_id();
        });
        connect(&options).unwrap();
        server.join().unwrap();
    }
}

#[test]
fn the_password_goes_in_clear_only_where_nobody_listens() {
    let ask = |peer: &mut Peer| {
        peer.greet("mysql_native_password");
        peer.recv();
        peer.send(b"\xFEmysql_clear_password\0");
    };
    let e = refusal(move |peer| {
        ask(peer);
        assert!(peer.is_gone());
    });
    assert!(e.contains("in clear"), "{e}");
    let (options, server) = on_socket(move |peer| {
        ask(peer);
        assert_eq!(peer.recv().unwrap(), format!("{SECRET}\0").into_bytes());
        peer.ok();
        peer.tell_id();
    });
    connect(&options).unwrap();
    server.join().unwrap();
}

#[test]
fn what_we_do_not_have_is_named() {
    let e = refusal(|peer| {
        peer.greet("mysql_native_password");
        peer.recv();
        peer.send(b"\xFEauth_gssapi_client\0abc\0");
    });
    assert!(
        e.contains("auth_gssapi_client") && e.contains("IDENTIFIED VIA mysql_native_password"),
        "{e}"
    );
    let e = refusal(|peer| {
        peer.greet("mysql_native_password");
        peer.recv();
        peer.send(b"\xFE");
    });
    assert!(e.contains("mysql_old_password"), "{e}");
}

#[test]
fn the_servers_reasons_come_with_advice() {
    for (code, advice) in [
        (1040, "max_connections"),
        (1129, "FLUSH HOSTS"),
        (1130, "CREATE USER 'bob'"),
        (1053, "shutting down"),
    ] {
        let e = refusal(move |peer| peer.err(code, "words"));
        assert!(
            e.contains(&code.to_string()) && e.contains("words") && e.contains(advice),
            "{e}"
        );
    }
    for (code, advice) in [
        (1045, "REQUIRE SSL"),
        (4151, "ACCOUNT UNLOCK"),
        (3118, "ACCOUNT UNLOCK"),
        (1862, "expired"),
        (3159, "verify-full"),
        (1524, "plugin"),
    ] {
        let e = refusal(move |peer| {
            peer.greet("mysql_native_password");
            peer.recv();
            peer.err(code, "words");
        });
        assert!(e.contains(&code.to_string()) && e.contains(advice), "{e}");
    }
}

#[test]
fn what_is_no_server_is_told_apart() {
    let e = refusal(|peer| peer.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    assert!(e.contains("no MySQL or MariaDB server"), "{e}");
    let e = refusal(|peer| peer.raw(b"SSH-2.0-OpenSSH_9.2\r\n"));
    assert!(e.contains("no MySQL or MariaDB server"), "{e}");
    let e = refusal(|peer| peer.send(&greeting("3.23", 0, "")));
    assert!(e.contains("too old"), "{e}");
    let e = refusal(|_| {});
    assert!(e.contains("ended the connection"), "{e}");
}

#[test]
fn a_silent_or_dripping_server_ends_with_the_timeout() {
    for drips in [false, true] {
        let (mut options, server) = on_tcp(move |peer| {
            if drips {
                // A greeting that never ends, a byte now and then.
                peer.raw(&[200, 0, 0, 0]);
                for _ in 0..100 {
                    peer.raw(&[10]);
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            peer.is_gone();
        });
        options.timeout = Duration::from_millis(300);
        let began = Instant::now();
        let e = connect(&options).err().unwrap().to_string();
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(e.contains("did not answer in time"), "{e}");
        server.join().unwrap();
    }
}

#[test]
fn a_login_that_does_not_end_is_ended() {
    let e = refusal(|peer| {
        peer.greet("mysql_native_password");
        while peer.recv().is_some() {
            peer.send(&[b"\xFEmysql_native_password\0", NONCE.as_slice(), b"\0"].concat());
        }
    });
    assert!(e.contains("does not end"), "{e}");
}

#[test]
fn no_tls_where_it_is_asked_for_is_an_error() {
    let (mut options, server) = on_tcp(|peer| {
        peer.send(&greeting("9.7.0", 0x81BF_F7FF & !0x800, "caching_sha2_password"));
        assert!(peer.is_gone());
    });
    options.tls.mode = TlsMode::Encrypt;
    let e = connect(&options).err().unwrap().to_string();
    assert!(e.contains("offers no TLS"), "{e}");
    server.join().unwrap();
}

#[test]
fn words_before_the_encryption_are_refused() {
    let (mut options, server) = on_tcp(|peer| {
        let mut seq = 0;
        let mut both = super::scripted::packets(&greeting("9.7.0", 0x81BF_FFFF, "caching_sha2_password"), &mut seq);
        both.extend_from_slice(b"\x07\0\0\x02\0\0\0\x02\0\0\0");
        peer.raw(&both);
        peer.recv();
        assert!(peer.is_gone());
    });
    options.tls.mode = TlsMode::Encrypt;
    let e = connect(&options).err().unwrap().to_string();
    assert!(e.contains("before the encryption"), "{e}");
    server.join().unwrap();
}

proptest! {
    #[test]
    fn any_first_words_end_in_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        refusal(move |peer| peer.raw(&bytes));
    }

    #[test]
    fn any_greeting_and_any_answer_to_the_login_end(
        cut in 0usize..120, flip in any::<(usize, u8)>(), more in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let (options, server) = on_tcp(move |peer| {
            let mut words = greeting("9.7.0", 0x81BF_F7FF, "caching_sha2_password");
            let at = flip.0 % words.len();
            words[at] ^= flip.1;
            words.truncate(cut.max(40));
            peer.send(&words);
            peer.seq = 2;
            peer.send(&more);
            peer.raw(&more);
        });
        let _ = connect(&options);
        server.join().unwrap();
    }

    #[test]
    fn any_key_is_looked_at_without_harm(mut key in proptest::collection::vec(any::<u8>(), 0..400), flip in any::<(usize, u8)>()) {
        super::rsa::is_public_key(&key);
        key = KEY.as_bytes().to_vec();
        let at = flip.0 % key.len();
        key[at] ^= flip.1;
        if super::rsa::is_public_key(&key) {
            // Whatever is let through must not make the library panic.
            let _ = mysql_common::crypto::encrypt(b"secret", &key);
        }
    }
}
