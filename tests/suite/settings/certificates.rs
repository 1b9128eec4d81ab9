//! The certificates of the settings: what cannot be used is told at once, and not by the next connection.

use super::{accepted, file, refused, with};
use crate::support::certificates::Authority;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A client's certificate and key, and the certificate of its CA.
struct Pems {
    folder: TempDir,
    authority: Authority,
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

impl Pems {
    fn new() -> Pems {
        let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
        let (certificate, key) = authority.write_client(folder.path(), "guest");
        authority.write_server(folder.path(), time::Duration::days(1));
        let ca = folder.path().join("ca.pem");
        Pems { folder, authority, certificate, key, ca }
    }

    /// The settings that name the three.
    fn settings(&self) -> [(&'static str, &str); 4] {
        [
            ("AMQP__URL", "amqps://127.0.0.1:1"),
            ("AMQP__TLS__CA_FILE", self.ca.to_str().unwrap()),
            ("AMQP__TLS__CERT_FILE", self.certificate.to_str().unwrap()),
            ("AMQP__TLS__KEY_FILE", self.key.to_str().unwrap()),
        ]
    }
}

fn told(key: &str, problem: &str) -> String {
    let variable = key.to_uppercase();
    format!("amqp.tls.{key} (variable EVENTD_AMQP__TLS__{variable}): {problem}")
}

#[test]
fn certificates_are_read_from_pem_files_and_only_with_amqps() {
    let pems = Pems::new();
    let all @ [url, ca, certificate, key] = pems.settings();
    let amqp = accepted(&with(&all)).amqp;
    assert_eq!(amqp.ca.unwrap(), fs::read_to_string(&pems.ca).unwrap());
    let own = amqp.client_certificate.unwrap();
    assert_eq!(own.certificate, fs::read_to_string(&pems.certificate).unwrap());
    assert_eq!(own.key.reveal(), fs::read_to_string(&pems.key).unwrap());
    // One file may have all of it.
    let both = own.certificate + own.key.reveal();
    let both = file(&pems.folder, "both", both);
    let both = both.to_str().unwrap();
    accepted(&with(&[url, (certificate.0, both), (key.0, both), (ca.0, both)]));

    let refused = |own: &[(&str, &str)]| refused(&with(own)).join("\n");
    assert_eq!(refused(&[url, certificate]), told("cert_file", "needs amqp.tls.key_file as well"));
    assert_eq!(refused(&[url, key]), told("key_file", "needs amqp.tls.cert_file as well"));
    let no_effect = "has no effect unless amqp.url begins with amqps://";
    assert!(
        refused(&[ca]).ends_with(no_effect) && refused(&[certificate, key]).ends_with(no_effect)
    );
    let unknown = refused(&[("AMQP__URL", "broker"), ca]);
    assert!(!unknown.contains(no_effect), "a URL that is no URL is the mistake: {unknown}");
}

#[test]
fn what_no_connection_can_be_made_with_is_told_with_the_same_words_by_check_and_at_the_start() {
    let pems = Pems::new();
    let read = |path: &PathBuf| fs::read_to_string(path).unwrap();
    let (certificate, key) = (read(&pems.certificate), read(&pems.key));
    let cut = |pem: &str| pem[..pem.len() - 40].to_owned();
    let password = "names a key with a password; take it off with openssl pkey -in OLD -out NEW";
    let (header, traditional) =
        ("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMAAA", "RSA PRIVATE KEY");
    let pem = |label: &str, text: &str| {
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n").into_bytes()
    };
    let elsewhere = TempDir::new().unwrap();
    let (renewed, its_key) = pems.authority.write_client(elsewhere.path(), "guest");
    let none = "names a file without a certificate in PEM";
    let damaged = "names a file with a certificate that is cut or damaged";
    let no_key = "names a file without a whole private key in PEM";
    let half = told(
        "key_file",
        "is not the key of the certificate in amqp.tls.cert_file; renew both at the same time",
    );
    for (name, text, expected) in [
        ("CA", Vec::new(), told("ca_file", none)),
        ("CA", key.clone().into(), told("ca_file", none)),
        ("CA", b"\x30\x82\xff".into(), told("ca_file", "names a file that is not PEM")),
        ("CA", cut(&read(&pems.ca)).into(), told("ca_file", damaged)),
        ("CA", (read(&pems.ca) + &cut(&certificate)).into(), told("ca_file", damaged)),
        (
            "CA",
            pem("CERTIFICATE", "MAAA"),
            told("ca_file", "names a file without a certificate that can be read"),
        ),
        ("CERT", Vec::new(), told("cert_file", none)),
        ("CERT", key.clone().into(), told("cert_file", none)),
        ("CERT", cut(&certificate).into(), told("cert_file", damaged)),
        (
            "CERT",
            pem("CERTIFICATE", "MAAA"),
            told("cert_file", "names a file whose first certificate cannot be read"),
        ),
        ("CERT", read(&renewed).into(), half.clone()),
        ("KEY", Vec::new(), told("key_file", no_key)),
        ("KEY", certificate.clone().into(), told("key_file", no_key)),
        ("KEY", cut(&key).into(), told("key_file", no_key)),
        ("KEY", pem("ENCRYPTED PRIVATE KEY", "MAAA"), told("key_file", password)),
        ("KEY", pem(traditional, header), told("key_file", password)),
        ("KEY", pem("PRIVATE KEY", "MAAA"), told("key_file", "names a key of no use: ")),
        ("KEY", read(&its_key).into(), half),
    ] {
        let path = file(&pems.folder, "wrong", text);
        let name = format!("AMQP__TLS__{name}_FILE");
        let mut variables = with(&pems.settings());
        variables.insert(format!("EVENTD_{name}"), path.to_str().unwrap().into());
        let mistakes = refused(&variables);
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(&expected), "{mistakes:?}");
        for arguments in [&["check", "--offline"][..], &["run"]] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_mimecast-eventd"));
            let ended = command.args(arguments).env_clear().envs(&variables).output().unwrap();
            let told = String::from_utf8(ended.stderr).unwrap();
            assert_eq!(ended.status.code(), Some(64), "{told}");
            assert!(told.contains(&mistakes[0]), "{told}");
        }
    }
    let mut variables = with(&pems.settings());
    variables.insert("EVENTD_AMQP__TLS__CA_FILE".into(), "/nowhere".into());
    assert_eq!(refused(&variables), [told("ca_file", "names a file that cannot be read")]);
}
