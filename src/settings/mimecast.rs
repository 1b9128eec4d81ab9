//! The settings under `mimecast`: how to reach the vendor and how to authenticate.

use super::reader::{Reader, long_enough};
use super::timings::Timings;
use crate::secrecy::Secret;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt;
use std::time::Duration;
use url::{Host, Url};

/// Known base URLs of API 1.0 (the vendor's list of global base URLs).
const HMAC_REGIONS: &[(&str, &str)] = &[
    ("eu", "https://eu-api.mimecast.com"),
    ("de", "https://de-api.mimecast.com"),
    ("us", "https://us-api.mimecast.com"),
    ("usb", "https://usb-api.mimecast.com"),
    ("ca", "https://ca-api.mimecast.com"),
    ("za", "https://za-api.mimecast.com"),
    ("au", "https://au-api.mimecast.com"),
    ("je", "https://je-api.mimecast.com"),
    ("sandbox", "https://sandbox-api.mimecast.com"),
    ("uspcom", "https://uspcom-api.mimecast-pscom-us.com"),
];

/// Known base URLs of API 2.0 (the vendor's article on the resilience of its gateway).
const OAUTH2_REGIONS: &[(&str, &str)] = &[
    ("global", "https://api.services.mimecast.com"),
    ("uk", "https://uk-api.services.mimecast.com"),
    ("us", "https://us-api.services.mimecast.com"),
];

/// Which API is meant, with the places that it has.
const REGIONS: [(&str, &[(&str, &str)]); 2] = [("hmac", HMAC_REGIONS), ("oauth2", OAUTH2_REGIONS)];

/// How to reach the vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mimecast {
    /// Scheme, host and port, no path.
    pub base_url: Url,
    /// The longest wait for one reply.
    pub timeout: Duration,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// How long the id of a group is remembered by its name.
    pub group_cache: Duration,
    /// How calls are authenticated.
    pub credentials: Credentials,
    /// The waits and limits that are no settings.
    pub timings: Timings,
}

/// The two ways to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// API 1.0: signed requests.
    Hmac(Keys),
    /// API 2.0: client credentials for a bearer token.
    OAuth2(Client),
}

/// What API 1.0 wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Names the key pair.
    pub access_key: Secret,
    /// The key that signs, decoded.
    pub secret_key: SigningKey,
    /// The registered application.
    pub app_id: Secret,
    /// Its key, part of what is signed.
    pub app_key: Secret,
}

/// What API 2.0 wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Names the application.
    pub client_id: Secret,
    /// Its secret.
    pub client_secret: Secret,
    /// Where tokens come from.
    pub token_url: Url,
}

/// A decoded signing key; never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

impl Mimecast {
    /// Reads the settings under `mimecast`; `None` when it is not known which API is meant.
    pub fn read(reader: &mut Reader) -> Option<Mimecast> {
        let (least, most) = (Duration::from_millis(1), Duration::from_mins(4));
        let timeout = reader.duration("mimecast.timeout", least, most);
        let connect_timeout = reader.duration("mimecast.connect_timeout", least, most);
        let group_cache =
            reader.duration("mimecast.group_cache", Duration::ZERO, Duration::from_hours(24));
        let own_url = reader.optional("mimecast.base_url", |text| {
            let url = private_url(text)?;
            if url.path() == "/" { Ok(url) } else { Err("must not have a path") }
        });
        let token_url = reader.optional("mimecast.token_url", private_url);
        reader.required("mimecast.auth", |_| Ok(()));
        let regions = reader.one_of("mimecast.auth", &REGIONS)?;
        let region = region(reader, regions);
        let base_url = own_url.or(region);
        let credentials = if regions == HMAC_REGIONS {
            Credentials::Hmac(Keys::read(reader))
        } else {
            let [client_id, client_secret] = client(reader);
            Credentials::OAuth2(Client {
                client_id,
                client_secret,
                token_url: token_url.or_else(|| base_url.as_ref()?.join("/oauth/token").ok())?,
            })
        };
        let (base_url, timings) = (base_url?, reader.timings());
        Some(Mimecast { base_url, timeout, connect_timeout, group_cache, credentials, timings })
    }
}

impl Keys {
    fn read(reader: &mut Reader) -> Keys {
        Keys {
            access_key: reader.secret("mimecast.access_key"),
            secret_key: reader
                .required("mimecast.secret_key", SigningKey::parse)
                .unwrap_or_default(),
            app_id: reader.secret("mimecast.app_id"),
            app_key: reader.secret("mimecast.app_key"),
        }
    }
}

impl Credentials {
    /// Reads the secrets of the credentials, wherever Mimecast is; `None` when it is not known which API is meant.
    pub(super) fn read_secrets(reader: &mut Reader) -> Option<Vec<Secret>> {
        let regions = reader.one_of("mimecast.auth", &REGIONS)?;
        Some(match regions == HMAC_REGIONS {
            true => Credentials::Hmac(Keys::read(reader)).secrets(),
            false => client(reader).into(),
        })
    }

    /// The name of the application, which stays as its secrets are renewed.
    pub fn application(&self) -> &Secret {
        match self {
            Credentials::Hmac(keys) => &keys.app_id,
            Credentials::OAuth2(client) => &client.client_id,
        }
    }

    /// Everything in them that must not be repeated, should the vendor echo it.
    pub fn secrets(&self) -> Vec<Secret> {
        match self {
            Credentials::Hmac(keys) => vec![
                keys.access_key.clone(),
                Secret::new(STANDARD.encode(keys.secret_key.reveal())),
                keys.app_id.clone(),
                keys.app_key.clone(),
            ],
            Credentials::OAuth2(client) => {
                vec![client.client_id.clone(), client.client_secret.clone()]
            }
        }
    }
}

/// The id and the secret of the client.
fn client(reader: &mut Reader) -> [Secret; 2] {
    ["mimecast.client_id", "mimecast.client_secret"].map(|key| reader.secret(key))
}

/// Whether `url` leads to this very machine, where neither TLS nor a proxy has a meaning.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The base URL of the configured region, needed only where there is no URL of one's own.
fn region(reader: &mut Reader, regions: &[(&str, &str)]) -> Option<Url> {
    if reader.is_missing("mimecast.base_url") && reader.is_missing("mimecast.region") {
        reader.mistake("mimecast.base_url", "is required, or else mimecast.region");
    }
    Url::parse(reader.one_of("mimecast.region", regions)?).ok()
}

/// A URL that credentials may be sent to: encrypted, or on this very machine.
fn private_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a URL such as https://eu-api.mimecast.com")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("takes no ? or # part");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err("must begin with https:// (http:// only to this very machine)"),
    }
}

impl SigningKey {
    fn parse(text: &str) -> Result<SigningKey, &'static str> {
        let text = text.trim();
        let key = STANDARD.decode(text).map_err(|_| "must be base64, as Mimecast issues it")?;
        match key.is_empty() {
            true => Err("must not be empty"),
            false => long_enough(text).map(|_| SigningKey(key)),
        }
    }

    /// The key itself, for the one place that signs.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}
