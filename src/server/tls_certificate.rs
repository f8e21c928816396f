//! The certificate that clients are shown, read again when its files change.
//!
//! As with the config, a change counts when two looks in a row agree, and what cannot be used changes nothing: a key
//! that does not belong to the certificate, as between the two writes of a renewal, leaves the old pair in force.
//! Connections that are open keep what they were opened with.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora::listeners::tls::Acceptor;
use prometheus::IntGauge;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};
use xxhash_rust::xxh3::xxh3_128;

use crate::config::plan::Tls;
use crate::gateway;

/// Where it is told how a certificate stands.
pub struct CertificateGauges {
    /// 1 when the last change of the files was taken, else 0.
    pub success: IntGauge,
    /// When what is shown ends, in Unix seconds.
    pub end: IntGauge,
}

/// The pair in force.
pub struct Certificate {
    files: Tls,
    shown: Arc<CertResolver>,
    observation: FileObservation,
}

#[derive(Debug)]
struct CertResolver(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for CertResolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Certificate {
    /// Reads the pair for the first time.
    ///
    /// # Errors
    /// When it cannot be used: which file, and why.
    pub fn open(files: &Tls) -> Result<Certificate, String> {
        let texts = PemTexts::read(files)?;
        let shown = Arc::new(CertResolver(ArcSwap::from_pointee(texts.pair(files)?)));
        Ok(Certificate {
            files: files.clone(),
            shown,
            observation: FileObservation { taken: Some(texts.fingerprint()), last: None },
        })
    }

    /// Speaks TLS with whatever pair is in force at the time.
    ///
    /// # Errors
    /// When this build has no such TLS.
    pub fn acceptor(&self) -> Result<Acceptor, String> {
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_protocol_versions(&[&TLS12, &TLS13]).map_err(|error| error.to_string())?;
        let mut config = config.with_no_client_auth().with_cert_resolver(self.shown.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Acceptor::from_server_config(Arc::new(config)))
    }

    /// Follows the files for ever, looking at them `every` so often, and tells whether the last change was taken and when what
    /// is shown ends.
    pub async fn follow(mut self, every: Duration, told: CertificateGauges) {
        let CertificateGauges { success, end } = told;
        success.set(1);
        end.set(ends(&self.shown.0.load().cert));
        loop {
            tokio::time::sleep(every).await;
            let files = self.files.clone();
            // Files may be on a slow disk.
            let Ok(texts) = tokio::task::spawn_blocking(move || PemTexts::read(&files)).await else { return };
            if !self.observation.changed(texts.as_ref().ok().map(PemTexts::fingerprint)) {
                continue;
            }
            match texts.and_then(|texts| texts.pair(&self.files)) {
                Ok(pair) => {
                    end.set(ends(&pair.cert));
                    self.shown.0.store(Arc::new(pair));
                    success.set(1);
                    log::info!("the certificate in {} is in force", self.files.cert.display());
                }
                Err(why) => {
                    success.set(0);
                    log::error!("the changed certificate is not taken, the one before stays in force: {why}");
                }
            }
        }
    }
}

/// When the first certificate of a chain ends, in Unix seconds: a client that meets an ended one goes away. What cannot be
/// read ended in 1970, which is looked at.
fn ends(chain: &[CertificateDer<'_>]) -> i64 {
    let end = |der: &CertificateDer<'_>| {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        Some(certificate.validity().not_after.timestamp())
    };
    chain.iter().map(|der| end(der).unwrap_or(0)).min().unwrap_or(0)
}

/// What the two files hold.
struct PemTexts {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl PemTexts {
    fn read(files: &Tls) -> Result<PemTexts, String> {
        let read = |path: &Path| {
            gateway::read_file::bytes(path, gateway::read_file::REFERRED)
                .map_err(|why| format!("{}: {why}", path.display()))
        };
        Ok(PemTexts { cert: read(&files.cert)?, key: read(&files.key)? })
    }

    fn fingerprint(&self) -> [u128; 2] {
        [xxh3_128(&self.cert), xxh3_128(&self.key)]
    }

    /// The pair to show, or which file cannot be used and why.
    fn pair(&self, files: &Tls) -> Result<CertifiedKey, String> {
        let Tls { cert, key } = files;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.cert).collect();
        let chain = chain.map_err(|error| format!("{}: {error}", cert.display()))?;
        if chain.is_empty() {
            return Err(format!("{}: holds no PEM block with 'BEGIN CERTIFICATE'", cert.display()));
        }
        // The error would repeat nothing of the key, but need not be trusted with it.
        let secret = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| format!("{}: holds no whole PEM block with 'PRIVATE KEY'", key.display()))?;
        CertifiedKey::from_der(chain, secret, &default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                format!("{}: is not the key of the certificate in {}", key.display(), cert.display())
            }
            rustls::Error::InvalidCertificate(why) => format!("{}: {why}", cert.display()),
            other => format!("{}: cannot be used: {other}", key.display()),
        })
    }
}

/// What was seen of the files, hashed; none where they could not be read.
type Fingerprint = Option<[u128; 2]>;

/// Tells a change from a file that is being written.
struct FileObservation {
    taken: Fingerprint,
    last: Option<Fingerprint>,
}

impl FileObservation {
    /// Whether what is seen `now` is new and was seen by the look before, too.
    fn changed(&mut self, now: Fingerprint) -> bool {
        let settled = self.last.replace(now) == Some(now);
        settled && std::mem::replace(&mut self.taken, now) != now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_and_when_two_looks_agree() {
        let of = |text: u128| Some([text, 0]);
        let mut observation = FileObservation { taken: of(1), last: None };
        for (seen, changed) in [
            (of(1), false),
            (of(1), false),
            (of(2), false),
            (of(3), false),
            (of(3), true),
            (of(3), false),
            (None, false),
            (None, true),
            (of(3), false),
            (of(3), true),
        ] {
            assert_eq!(observation.changed(seen), changed, "{seen:?}");
        }
    }
}
