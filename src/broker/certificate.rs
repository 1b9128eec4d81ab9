//! The certificate that the daemon shows to the broker, and its key.

use crate::settings::ClientCertificate;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Why no connection can be made with a client certificate.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file has no PEM of the right kind.
    #[error(
        "one of them holds no certificate or key; they have to be PEM, the key without a password"
    )]
    Unreadable,
    /// The key is that of another certificate.
    #[error("do not go together ({0}); renew them at the same time")]
    Unfit(rustls::Error),
}

/// Checks that the key is that of the certificate: no connection can be made otherwise.
///
/// # Errors
///
/// [`PairError`].
pub fn pair(ClientCertificate { certificate, key }: &ClientCertificate) -> Result<(), PairError> {
    let chain =
        CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes());
    let (Ok(chain), Ok(key)) = (chain, key) else { return Err(PairError::Unreadable) };
    let client = ClientConfig::builder().with_root_certificates(RootCertStore::empty());
    client.with_client_auth_cert(chain, key).map(drop).map_err(PairError::Unfit)
}
