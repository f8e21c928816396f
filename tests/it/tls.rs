//! Real TLS, both ways: to a provider whose certificate is checked, and from a client.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use easel::sandbox::{Name, Sandbox, Settings};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::client::Client;
use crate::commands::Served;
use crate::world::{GENERATE, World, ask, pictures, route};

pub fn certificate() -> CertifiedKey<rcgen::KeyPair> {
    certificate_for("localhost")
}

/// One that ends on the first day of a year.
fn certificate_until(year: i32) -> CertifiedKey<rcgen::KeyPair> {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let signing_key = rcgen::KeyPair::generate().unwrap();
    CertifiedKey { cert: params.self_signed(&signing_key).unwrap(), signing_key }
}

/// One for a name, or for an address.
fn certificate_for(whom: &str) -> CertifiedKey<rcgen::KeyPair> {
    generate_simple_self_signed(vec![whom.to_owned()]).unwrap()
}

/// Puts TLS in front of a plain service; gives the port.
pub async fn in_front_of(plain: std::net::SocketAddr, own: &CertifiedKey<rcgen::KeyPair>) -> u16 {
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut outside) = acceptor.accept(stream).await else { return };
                let mut inside = TcpStream::connect(plain).await.unwrap();
                let _ = copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    port
}

async fn draw_over_tls(trusted: &Path, host: &str, port: u16) -> (u16, String) {
    let folder = tempfile::tempdir().unwrap();
    let config =
        route(&["stability/core"]).replace("${SANDBOX}/stability/", &format!("https://{host}:{port}/stability/"));
    let path = crate::commands::config(folder.path(), &config);
    let served =
        Served::start(&path, "http://127.0.0.1:1", &[("SSL_CERT_FILE", trusted.to_str().unwrap())], Stdio::null());
    let answer = Client::connect(served.addr).await.post(GENERATE, &ask("a fox")).await;
    (answer.status, answer.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_called_over_tls_and_only_if_its_certificate_is_trusted() {
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let (own, other) = (certificate(), certificate());
    let port = in_front_of(sandbox.addr(), &own).await;
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("good.pem"), folder.path().join("bad.pem"));
    std::fs::write(&good, own.cert.pem()).unwrap();
    std::fs::write(&bad, other.cert.pem()).unwrap();
    let (status, text) = draw_over_tls(&good, "localhost", port).await;
    assert_eq!(status, 200, "{text}");
    let (status, text) = draw_over_tls(&bad, "localhost", port).await;
    assert_eq!(status, 502, "{text}");
    assert_eq!(sandbox.invoice().vendor(Name::Stability).calls, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_at_a_bare_address_needs_a_certificate_for_that_address() {
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (whom, drawn) in [("127.0.0.1", 200), ("localhost", 502), ("127.0.0.2", 502)] {
        let own = certificate_for(whom);
        let port = in_front_of(sandbox.addr(), &own).await;
        let trusted = folder.path().join("trusted.pem");
        std::fs::write(&trusted, own.cert.pem()).unwrap();
        let (status, text) = draw_over_tls(&trusted, "127.0.0.1", port).await;
        assert_eq!(status, drawn, "{whom}: {text}");
    }
    assert_eq!(sandbox.invoice().vendor(Name::Stability).calls, 1);
}

/// A world whose clients are shown `own`, and the files it lies in: certificate and key.
pub async fn secured(folder: &Path, own: &CertifiedKey<rcgen::KeyPair>) -> (World, PathBuf, PathBuf) {
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let tls = format!("server: {{tls: {{cert: {}, key: {}}}}}\n", cert.display(), key.display());
    (World::new(&format!("{tls}{}", route(&["stability/core"]))).await, cert, key)
}

/// A client that trusts `own` and nobody else.
async fn trusting_own(own: &CertifiedKey<rcgen::KeyPair>, world: &World) -> std::io::Result<Client> {
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    trusting(roots, world).await
}

/// A client that trusts those and nobody else.
pub async fn trusting(roots: RootCertStore, world: &World) -> std::io::Result<Client> {
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(world.addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    Ok(Client::over(connector.connect(name, stream).await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_read_again_when_its_files_change_and_half_a_change_changes_nothing() {
    let (old, new) = (certificate_until(2030), certificate_until(2031));
    let folder = tempfile::tempdir().unwrap();
    let (world, cert, key) = secured(folder.path(), &old).await;
    let gauge = world.gateway.shared.metrics.certificate_reload_success.with_label_values(&["clients"]);
    let until = async |success: i64| {
        let told = async {
            while gauge.get() != success {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), told).await.expect("the files are not looked at");
    };
    let ends = async || {
        let page = world.metrics().await;
        let line = page.lines().find(|line| line.starts_with("easel_certificate_end_timestamp_seconds{listener"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<i64>().ok())
    };
    let mut before = trusting_own(&old, &world).await.unwrap();
    until(1).await;
    // 2030-01-01T00:00:00Z.
    assert_eq!(ends().await, Some(1_893_456_000));
    std::fs::write(&cert, new.cert.pem()).unwrap();
    until(0).await;
    assert_eq!(trusting_own(&old, &world).await.unwrap().get("/v1/models").await.status, 200, "the key is missing");
    std::fs::write(&key, new.signing_key.serialize_pem()).unwrap();
    until(1).await;
    assert_eq!(ends().await, Some(1_893_456_000 + 365 * 86_400));
    assert_eq!(trusting_own(&new, &world).await.unwrap().get("/v1/models").await.status, 200);
    assert!(trusting_own(&old, &world).await.is_err());
    assert_eq!(before.get("/v1/models").await.status, 200, "who is connected stays so");
    std::fs::write(&cert, "no certificate").unwrap();
    until(0).await;
    assert_eq!(trusting_own(&new, &world).await.unwrap().get("/v1/models").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_served_over_tls_and_links_say_so() {
    let own = certificate();
    let folder = tempfile::tempdir().unwrap();
    let (world, ..) = secured(folder.path(), &own).await;
    let mut client = trusting_own(&own, &world).await.unwrap();
    let answer = client.post(GENERATE, &ask("a fox")).await;
    assert_eq!(pictures(&answer).len(), 1);
    let linked =
        client.post(GENERATE, &crate::world::ask_with("a fox", serde_json::json!({"response_format": "url"}))).await;
    let link = linked.json()["data"][0]["url"].as_str().unwrap().to_owned();
    assert!(link.starts_with(&format!("https://{}/", world.addr)), "{link}");
}
