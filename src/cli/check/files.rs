//! The files that settings come from.

use super::verdict::{Gravity, Group, Verdict};
use crate::settings::{Amqp, ClientCertificate, SourceFile};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::os::unix::fs::PermissionsExt;

/// What anybody on the machine may.
const OTHERS: u32 = 0o007;

/// A verdict on each file; that they can be read was seen already.
pub(super) fn check(files: &[SourceFile], amqp: &Amqp) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = files.iter().map(file).collect();
    if verdicts.is_empty() {
        verdicts.push(Verdict::new(Gravity::Ok, (Group::Files, "all"), "no file is read"));
    }
    verdicts.extend(amqp.client_certificate.as_ref().map(pair));
    verdicts
}

fn file(SourceFile { key, path, secret }: &SourceFile) -> Verdict {
    let subject = (Group::Files, *key);
    let open = path.metadata().is_ok_and(|file| file.permissions().mode() & OTHERS != 0);
    if *secret && open {
        // Without the path of a secret: somebody may have put the secret itself where its file belongs.
        let text =
            "anybody on this machine can read it; take the permissions of others away (chmod o=)";
        return Verdict::new(Gravity::Warning, subject, text);
    }
    Verdict::new(Gravity::Ok, subject, "can be read")
}

/// The library that connects refuses a key that is not that of the certificate.
fn pair(ClientCertificate { certificate, key }: &ClientCertificate) -> Verdict {
    let subject = (Group::Files, "amqp.tls.cert_file and amqp.tls.key_file");
    let chain =
        CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes());
    let (Ok(chain), Ok(key)) = (chain, key) else {
        let text = "one of them holds no certificate or key; they have to be PEM, the key without a password";
        return Verdict::new(Gravity::Failure, subject, text);
    };
    let client = ClientConfig::builder().with_root_certificates(RootCertStore::empty());
    match client.with_client_auth_cert(chain, key) {
        Ok(_) => Verdict::new(Gravity::Ok, subject, "belong together"),
        Err(error) => {
            let text = format!("do not go together ({error}); renew them at the same time");
            Verdict::new(Gravity::Failure, subject, text)
        }
    }
}
