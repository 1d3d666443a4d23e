//! TLS on a socket that a server has greeted on.

use std::fmt::Write as _;
use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    StreamOwned,
};

use crate::cluster::mysql::options::{TlsMode, TlsOptions};

/// Why there is no TLS: what happened, and what to do.
pub(super) struct TlsError {
    pub why: String,
    pub hint: String,
}

impl TlsError {
    fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        TlsError {
            why: why.into(),
            hint: hint.into(),
        }
    }
}

/// An encrypted socket.
pub(super) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// Shakes hands over `socket`, whose timeouts are set.
pub(super) fn encrypt(options: &TlsOptions, host: &str, mut socket: TcpStream) -> Result<TlsStream, TlsError> {
    let config = config(options)?;
    let host = host.trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        TlsError::new(
            format!("{host} is no name for a certificate"),
            "use its DNS name or address",
        )
    })?;
    let mut session = ClientConnection::new(Arc::new(config), name).map_err(|e| explain(&e, host, options))?;
    while session.is_handshaking() {
        if let Err(e) = session.complete_io(&mut socket) {
            return Err(match e.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
                Some(tls) => explain(tls, host, options),
                None => broken(&e),
            });
        }
    }
    Ok(StreamOwned::new(session, socket))
}

fn broken(e: &io::Error) -> TlsError {
    let why = match e.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "the TLS handshake was not answered in time".to_owned(),
        _ => format!("the TLS handshake was broken off ({e})"),
    };
    TlsError::new(
        why,
        "look into the server's error log, and at its ssl_cert, ssl_key and tls_version",
    )
}

fn config(options: &TlsOptions) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsError::new(format!("TLS is not available: {e}"), "report this"))?;
    let verifier: Arc<dyn ServerCertVerifier> = match options.mode {
        TlsMode::Off | TlsMode::Encrypt => Arc::new(Anyone { provider }),
        TlsMode::VerifyCa | TlsMode::VerifyFull => {
            let roots = roots(options.ca.as_deref())?;
            let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|e| TlsError::new(format!("the certificates cannot be used: {e}"), "check the ca file"))?;
            match options.mode {
                TlsMode::VerifyCa => Arc::new(AnyName { inner }),
                _ => inner,
            }
        }
    };
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// The authorities of the file, or of the system.
fn roots(ca: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let mut why = "this system has no trusted certificates".to_owned();
            if let Some(e) = found.errors.first() {
                let _ = write!(why, " ({e})");
            }
            return Err(TlsError::new(
                why,
                "name the authority's certificate: tls ca = \"FILE\"",
            ));
        }
        return Ok(roots);
    };
    let shown = path.display();
    let bad = |e: String| {
        TlsError::new(
            format!("the ca file {shown} cannot be read: {e}"),
            "check the path and the file",
        )
    };
    for cert in CertificateDer::pem_file_iter(path).map_err(|e| bad(e.to_string()))? {
        let cert = cert.map_err(|e| bad(e.to_string()))?;
        roots.add(cert).map_err(|e| bad(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("it holds no certificate".to_owned()));
    }
    Ok(roots)
}

/// What rustls says, in the operator's words.
fn explain(e: &Error, host: &str, options: &TlsOptions) -> TlsError {
    let Error::InvalidCertificate(cert) = e else {
        return TlsError::new(
            format!("TLS failed: {e}"),
            "look at the server's tls_version and ssl_cipher: TLS 1.2 or 1.3 is needed",
        );
    };
    let whose = match &options.ca {
        Some(path) => format!("by an authority in {}", path.display()),
        None => "by an authority that this system trusts".to_owned(),
    };
    match cert {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsError::new(
            "the server's certificate has expired",
            "renew it on the server, then there: FLUSH SSL (MariaDB) or ALTER INSTANCE RELOAD TLS (MySQL)",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsError::new(
            "the server's certificate is not valid yet",
            "compare the clocks of both hosts",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => TlsError::new(
            format!("the server's certificate does not name {host}"),
            "use the name that it was made for (SAN), or set tls to verify-ca if its authority signs nothing else",
        ),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsError::new(
            format!("the server's certificate is not {whose}"),
            "name its authority: tls ca = \"FILE\"; a server that made its own (MariaDB 11.4 and later without ssl_cert, \
             MySQL's ca.pem in its data directory) needs that, an ssl_cert by your authority, or tls = \"encrypt\", \
             which does not know who answers",
        ),
        other => TlsError::new(
            format!("the server's certificate cannot be accepted ({other:?})"),
            "give the server a certificate (X.509 v3, by an authority) in ssl_cert and ssl_key",
        ),
    }
}

/// Takes whoever answers: encryption only.
#[derive(Debug)]
struct Anyone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Takes every name, from a trusted authority. The verifier looks at names last, so a wrong name means that all else is right.
#[derive(Debug)]
struct AnyName {
    inner: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let result = self
            .inner
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match result {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
