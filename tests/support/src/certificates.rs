//! Certificates for TLS: a CA, servers good and expired, and a client.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

/// A CA of one's own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new one that nobody else trusts.
    #[expect(clippy::new_without_default, reason = "each one is another CA")]
    pub fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "a CA of the tests");
        let key = KeyPair::generate().unwrap();
        Authority { issuer: CertifiedIssuer::self_signed(params, key).unwrap() }
    }

    /// Writes what a broker needs into `folder`: `ca.pem`, `server.pem` and `server.key`, valid
    /// until `end` from now.
    pub fn write_server(&self, folder: &Path, end: Duration) {
        self.write_server_of(folder, &["localhost", "127.0.0.1"], end);
    }

    /// Writes the same for a server of these names, and gives what the server itself needs.
    pub fn serve(&self, folder: &Path, names: &[&str], end: Duration) -> Arc<ServerConfig> {
        self.write_server_of(folder, names, end);
        let read = |name: &str| folder.join(name);
        let certificates = CertificateDer::pem_file_iter(read("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(read("server.key")).unwrap();
        let certificates = certificates.map(Result::unwrap).collect();
        let config = ServerConfig::builder().with_no_client_auth();
        Arc::new(config.with_single_cert(certificates, key).unwrap())
    }

    fn write_server_of(&self, folder: &Path, names: &[&str], end: Duration) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = OffsetDateTime::now_utc() - Duration::days(30);
        params.not_after = OffsetDateTime::now_utc() + end;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.write(params, folder, "server");
        std::fs::write(folder.join("ca.pem"), self.issuer.pem()).unwrap();
    }

    /// Writes a client certificate for the user `name` into `folder`; gives certificate and key.
    pub fn write_client(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.write(params, folder, name)
    }

    fn write(&self, params: CertificateParams, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (certificate_file, key_file) =
            (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        std::fs::write(&certificate_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (certificate_file, key_file)
    }
}
