//! MariaDB's plugins that sign what the server sends: `client_ed25519` with a key that is the password's hash, `parsec` with one
//! that is derived from it, slowly. The password itself is never sent.

use std::num::NonZeroU32;

use mysql_common::auth::plugins::client_ed25519::ClientEd25519;
use mysql_common::auth::plugins::{ChallengeResponsePlugin, Context, Response};
use ring::pbkdf2;
use ring::signature::Ed25519KeyPair;

/// What is to be signed has so many bytes, whatever they are.
pub(super) const SCRAMBLE: usize = 32;

/// A password is all that the plugin needs.
struct Secret<'a>(&'a [u8]);

impl Context for Secret<'_> {
    fn pass(&self) -> &[u8] {
        self.0
    }

    fn is_ipc_transport(&self) -> bool {
        false
    }

    fn is_tls_transport(&self) -> bool {
        false
    }

    fn scramble(&self) -> &[u8] {
        &[]
    }

    fn server_key_pem(&self) -> Option<&[u8]> {
        None
    }
}

/// The answer of `client_ed25519`; `None` when the scramble is none.
pub(super) fn ed25519(password: &[u8], scramble: &[u8]) -> Option<Vec<u8>> {
    match ClientEd25519::default().run(Secret(password), scramble).ok()? {
        Response::Last { packet } | Response::Next { packet } => packet,
    }
}

/// The answer of `parsec` to how the key is derived: `P`, how often, and the salt. `None` when it is something else.
pub(super) fn parsec(password: &[u8], scramble: &[u8], how: &[u8]) -> Option<Vec<u8>> {
    const SALT: usize = 18;
    let [b'P', factor @ 0..=3, salt @ ..] = how else {
        return None;
    };
    if salt.len() != SALT || scramble.len() != SCRAMBLE {
        return None;
    }
    let (mut seed, mut own) = ([0; 32], [0; SCRAMBLE]);
    let rounds = NonZeroU32::new(1024 << factor)?;
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, rounds, salt, password, &mut seed);
    getrandom::fill(&mut own).ok()?;
    let key = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
    let signed = key.sign(&[scramble, &own[..]].concat());
    Some([&own[..], signed.as_ref()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ED25519, KeyPair, UnparsedPublicKey};

    #[test]
    fn only_what_can_be_signed_is_answered() {
        assert_eq!(ed25519(b"secret", &[7; SCRAMBLE]).unwrap().len(), 64);
        assert_eq!(ed25519(b"secret", &[7; 20]), None);
        let how = [&b"P\x00"[..], &[9; 18]].concat();
        let answer = parsec(b"secret", &[7; SCRAMBLE], &how).unwrap();
        let mut seed = [0; 32];
        let rounds = NonZeroU32::new(1024).unwrap();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, rounds, &[9; 18], b"secret", &mut seed);
        let key = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let message = [&[7; SCRAMBLE], &answer[..32]].concat();
        let public = UnparsedPublicKey::new(&ED25519, key.public_key().as_ref());
        public.verify(&message, &answer[32..]).unwrap();
        for bad in [
            &how[..19],
            &[&b"P\x04"[..], &[9; 18]].concat(),
            &[&b"X\x00"[..], &[9; 18]].concat(),
            b"",
        ] {
            assert_eq!(parsec(b"secret", &[7; SCRAMBLE], bad), None);
        }
        assert_eq!(parsec(b"secret", &[7; 31], &how), None);
    }
}
