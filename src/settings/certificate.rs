//! Certificates in PEM files: of the CAs to trust, and the client's own with its key.

use super::reader::Reader;
use super::small_file;
use crate::secrecy::Secret;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, RootCertStore};
use std::io::ErrorKind;

const CERTIFICATE: &str = "amqp.tls.cert_file";

const KEY: &str = "amqp.tls.key_file";

/// A client certificate and its key, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, with those that lead to the CA.
    pub certificate: String,
    /// Its key.
    pub key: Secret,
}

impl ClientCertificate {
    /// Reads it, if it is set. A certificate without its key cannot be shown: one of the two may be renewed already.
    pub(super) fn read(reader: &mut Reader) -> Option<ClientCertificate> {
        let certificate = reader.optional(CERTIFICATE, certificates);
        let key = reader.optional(KEY, key);
        // What was found wrong in one is not also called missing for the other.
        for (is_read, file, missing) in
            [(certificate.is_some(), CERTIFICATE, KEY), (key.is_some(), KEY, CERTIFICATE)]
        {
            if is_read && reader.is_missing(missing) {
                reader.mistake(file, &format!("needs {missing} as well"));
            }
        }
        let ((certificate, chain), (key, parsed)) = (certificate?, key?);
        match CertifiedKey::from_der(chain, parsed, &rustls::crypto::ring::default_provider()) {
            Ok(_) => {}
            Err(Error::InconsistentKeys(_)) => reader.mistake(
                KEY,
                "is not the key of the certificate in amqp.tls.cert_file; renew both at the same time",
            ),
            Err(Error::InvalidCertificate(_)) => {
                reader.mistake(CERTIFICATE, "names a file whose first certificate cannot be read");
            }
            Err(error) => reader.mistake(KEY, &format!("names a key of no use: {error}")),
        }
        Some(ClientCertificate { certificate, key: Secret::new(key) })
    }
}

/// The text of the file with CA certificates at `path`.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn authorities(path: &str) -> Result<String, &'static str> {
    let (text, certificates) = certificates(path)?;
    // As the clients do it: what they cannot read among others is left out.
    match RootCertStore::empty().add_parsable_certificates(certificates) {
        (0, _) => Err("names a file without a certificate that can be read"),
        (_, _) => Ok(text),
    }
}

/// The text of the file at `path`, and its certificates.
fn certificates(path: &str) -> Result<(String, Vec<CertificateDer<'static>>), &'static str> {
    let text = text(path)?;
    let certificates =
        CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err("names a file without a certificate in PEM")
        }
        Ok(certificates) => Ok((text, certificates)),
        Err(_) => Err("names a file with a certificate that is cut or damaged"),
    }
}

/// The text of the file at `path`, and its key.
fn key(path: &str) -> Result<(String, PrivateKeyDer<'static>), &'static str> {
    let text = text(path)?;
    match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
        Ok(key) => Ok((text, key)),
        Err(_) if text.contains("ENCRYPTED") => {
            Err("names a key with a password; take it off with openssl pkey -in OLD -out NEW")
        }
        Err(_) => Err("names a file without a whole private key in PEM"),
    }
}

fn text(path: &str) -> Result<String, &'static str> {
    small_file::read_text(path).map_err(|error| match error.kind() == ErrorKind::InvalidData {
        true => "names a file that is not PEM",
        false => "names a file that cannot be read",
    })
}
