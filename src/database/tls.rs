//! Encryption of connections to PostgreSQL, in libpq's words: `sslmode` and `sslrootcert`.
//!
//! `prefer`, the default, encrypts where the server can; `require` always encrypts and, with
//! `sslrootcert`, checks who signed the server's certificate; `verify-ca` always checks that, and
//! `verify-full` the host's name too. Where libpq would look for a file in the home folder, the
//! authorities that the system trusts count instead. Client certificates are not sent. Source:
//! PostgreSQL's manual, "SSL Support", "Protection Provided in Different Modes".

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

/// How much is asked of the encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return Err("sslmode is one of disable, prefer, require, verify-ca and verify-full".to_owned()),
        })
    }
}

/// What a connection string asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Encryption {
    pub(super) mode: Mode,
    /// PEM file of the authorities to trust.
    authorities: Option<PathBuf>,
}

impl Encryption {
    /// Takes the two settings out of a URL, because the client library does not know all of their
    /// values. Of a string of keywords it takes nothing: there the library's own parser decides.
    pub(super) fn take(text: &str) -> Result<(String, Option<Self>), String> {
        let Ok(mut url) = Url::parse(text) else { return Ok((text.to_owned(), None)) };
        let (mut mode, mut authorities) = (None, None);
        let mut others = Vec::new();
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "sslmode" => mode = Some(value.parse()?),
                "sslrootcert" if value == "system" => {}
                "sslrootcert" => authorities = Some(PathBuf::from(value.as_ref())),
                _ => others.push((key.into_owned(), value.into_owned())),
            }
        }
        if mode.is_none() && authorities.is_none() {
            return Ok((text.to_owned(), None));
        }
        url.set_query(None);
        if !others.is_empty() {
            url.query_pairs_mut().extend_pairs(others);
        }
        Ok((url.into(), Some(Self { mode: mode.unwrap_or(Mode::Prefer), authorities })))
    }

    /// The same from what the client library understood.
    pub(super) fn of(mode: SslMode) -> Self {
        let mode = match mode {
            SslMode::Disable => Mode::Disable,
            SslMode::Require => Mode::Require,
            _ => Mode::Prefer,
        };
        Self { mode, authorities: None }
    }

    /// What the client library is to ask of the server.
    pub(super) fn asked(&self) -> SslMode {
        match self.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }

    /// What makes encrypted connections. Refused: a file of authorities that cannot be read.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, String> {
        let provider = Arc::new(ring::default_provider());
        let is_checked = self.mode >= Mode::VerifyCa || (self.mode == Mode::Require && self.authorities.is_some());
        let verifier: Arc<dyn ServerCertVerifier> = if is_checked {
            let known = WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots()?), provider.clone());
            let known = known.build().map_err(|error| error.to_string())?;
            if self.mode == Mode::VerifyFull { known } else { Arc::new(AnyName(known)) }
        } else {
            Arc::new(Unverified(provider.clone()))
        };
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| error.to_string())?.dangerous().with_custom_certificate_verifier(verifier);
        Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        let Some(path) = &self.authorities else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return if roots.is_empty() {
                Err("this system trusts no authority; name one: sslrootcert=FILE".to_owned())
            } else {
                Ok(roots)
            };
        };
        let wrong = |error: &dyn std::fmt::Display| format!("sslrootcert `{}`: {error}", path.display());
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
            let certificate = certificate.map_err(|error| wrong(&error))?;
            roots.add(certificate).map_err(|error| wrong(&error))?;
        }
        if roots.is_empty() { Err(wrong(&"there is no certificate in it")) } else { Ok(roots) }
    }
}

/// Any certificate: only the key exchange is checked, as libpq does for `prefer` and `require`.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A certificate by a known authority, whatever host it names.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(certificate, others, name, ocsp, now) {
            // The name is compared last, so everything else was right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use towpath_engine::secret::Secret;

    use super::super::postgres::Postgres;
    use super::super::server::Server;
    use super::super::{Database, DatabaseError};

    /// Gives the server a certificate for `db.example`; returns the authority's.
    fn encrypt(server: &Server) -> String {
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = authority.self_signed(&key).unwrap();
        let issuer = rcgen::Issuer::new(authority, key);
        let own = rcgen::KeyPair::generate().unwrap();
        let signed = rcgen::CertificateParams::new(vec!["db.example".to_owned()]).unwrap().signed_by(&own, &issuer);
        for (file, pem) in [("server.crt", signed.unwrap().pem()), ("server.key", own.serialize_pem())] {
            // The server writes them itself, because they must belong to its user.
            server.execute(&format!(
                "copy (select unnest(string_to_array('{}', E'\\n'))) to program 'umask 077; cat > {file}'",
                pem.trim().replace("\r\n", "\n"),
            ));
        }
        server.execute("alter system set ssl = on");
        server.execute("select pg_reload_conf()");
        certificate.pem()
    }

    async fn encrypted(url: &str) -> Result<String, DatabaseError> {
        let database = Postgres::new(&Secret::new(url), 1)?;
        let rows = database.query("select ssl from pg_stat_ssl where pid = pg_backend_pid()").await?;
        Ok(rows.rows[0][0].clone().unwrap())
    }

    /// Until the server has read its configuration again.
    async fn wait_for_encryption(url: &str) {
        for _ in 0..200 {
            if encrypted(&format!("{url}?sslmode=require")).await.is_ok() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the server does not encrypt");
    }

    fn file(folder: &Path, name: &str, text: &str) -> String {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    #[tokio::test]
    async fn each_mode_protects_as_the_manual_says() {
        let server = Server::alone();
        let folder = tempfile::tempdir().unwrap();
        let url = server.database();
        let refused = encrypted(&format!("{url}?sslmode=require")).await.unwrap_err();
        assert!(refused.to_string().contains("does not support TLS"), "{refused}");
        assert_eq!(encrypted(&url).await.unwrap(), "f");

        let ours = file(folder.path(), "ours.pem", &encrypt(&server));
        let stranger = rcgen::generate_simple_self_signed(vec!["db.example".to_owned()]).unwrap();
        let theirs = file(folder.path(), "theirs.pem", &stranger.cert.pem());
        wait_for_encryption(&url).await;
        let cases = [
            ("sslmode=disable".to_owned(), "f"),
            ("sslmode=require".to_owned(), "t"),
            (format!("sslmode=require&sslrootcert={ours}"), "t"),
            (format!("sslmode=require&sslrootcert={theirs}"), "invalid peer certificate"),
            (format!("sslmode=verify-ca&sslrootcert={ours}&connect_timeout=5"), "t"),
            (format!("sslmode=verify-ca&sslrootcert={theirs}"), "invalid peer certificate"),
            ("sslmode=verify-ca".to_owned(), "sslrootcert=FILE"),
            (format!("sslmode=verify-full&sslrootcert={ours}"), "not valid for name"),
            ("sslmode=verify-ca&sslrootcert=/nowhere.pem".to_owned(), "sslrootcert `/nowhere.pem`"),
            ("sslmode=sometimes".to_owned(), "sslmode is one of"),
        ];
        for (settings, expected) in cases {
            let told = encrypted(&format!("{url}?{settings}")).await.unwrap_or_else(|error| error.to_string());
            assert!(told == expected || (expected.len() > 1 && told.contains(expected)), "{settings}: {told}");
        }
    }
}
