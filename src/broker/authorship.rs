//! What shows that a message is a copy of ours, whoever may write to its queue.
//!
//! The headers of a copy say who published the original, what was done for it and how often it was tried. It carries
//! a MAC over these headers, over what an event is read from and over the body, with a key that all replicas and `dlq`
//! share. It carries the name of our user too, which RabbitMQ checks (RabbitMQ, "Validated User-ID"). Either is enough:
//! so copies that wait are believed after a change of the key, and after a change of the user.

use super::header::{attributes, plain, short, spelled, text};
use super::reduction::fitting;
use super::sieve::{ALTERED, BODY_SIZE};
use crate::secrecy::CopyKey;
use crate::settings::Amqp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The header that says by whom the original was published, as the broker has checked.
pub(super) const USER_ID: &str = "x-eventd-user-id";

/// The header of a copy of a dead letter that nobody knows to be ours. All but the user is as somebody has claimed.
pub(super) const CLAIMED: &str = "x-eventd-claimed";

const MAC: &str = "x-eventd-mac";

/// Bytes of its header: name and type, length, and 32 bytes in base64.
const MAC_SIZE: usize = 1 + MAC.len() + 1 + 4 + 44;

/// By what our copies are known.
#[derive(Debug, Default)]
pub struct Authorship {
    key: Option<CopyKey>,
    /// Our user, if it is a name that we know.
    user: Option<ShortString>,
    /// Whether the broker knows us by another name than we do, as its authentication backends may.
    is_user_refused: AtomicBool,
}

impl Authorship {
    /// That of a daemon with these settings.
    pub fn of(amqp: &Amqp) -> Arc<Authorship> {
        let user = ShortString::try_new(amqp.address.username.as_str()).ok();
        // Of a certificate the broker makes a name by its own rules.
        let user =
            user.filter(|user| amqp.client_certificate.is_none() && !user.as_str().is_empty());
        Arc::new(Authorship::by(amqp.copy_key.clone(), user))
    }

    /// That of who has this key and this user.
    pub(super) fn by(key: Option<CopyKey>, user: Option<ShortString>) -> Authorship {
        Authorship { key, user, is_user_refused: AtomicBool::new(false) }
    }

    /// Whether a message is a copy of ours, so that its headers count.
    pub(super) fn is_of(&self, properties: &BasicProperties, body: &[u8]) -> bool {
        let Some(headers) = properties.headers() else { return false };
        // Every copy has it. Others may have our user: `send` works with the same settings.
        if text(headers, "x-eventd-exchange").is_none() {
            return false;
        }
        let is_by_our_user = self.user.is_some() && self.user() == properties.user_id().as_ref();
        let (key, mac) = (self.key.as_ref(), short(headers, MAC));
        is_by_our_user
            || key.zip(mac).is_some_and(|(key, mac)| key.verifies(&signed(properties, body), &mac))
    }

    /// Whether a message has the MAC of somebody with another key: a copy of it would show nobody who published it.
    pub(super) fn is_of_another_key(&self, properties: &BasicProperties, body: &[u8]) -> bool {
        let has_mac =
            properties.headers().as_ref().is_some_and(|headers| headers.contains_key(MAC));
        has_mac && !self.is_of(properties, body)
    }

    /// Learns from why the broker refuses a message. Returns whether it takes the same without our name.
    pub(super) fn learn(&self, refusal: &str) -> bool {
        let is_user = is_of_user(refusal) && self.user().is_some();
        self.is_user_refused.fetch_or(is_user, Ordering::Relaxed);
        is_user
    }

    /// What is published: with our name and the MAC, and without the headers for which there is no room then.
    ///
    /// # Errors
    ///
    /// Why not, when it does not fit into a frame of `frame_max` bytes.
    pub(super) fn sign(
        &self,
        properties: BasicProperties,
        body: &[u8],
        frame_max: usize,
    ) -> Result<BasicProperties, String> {
        let fitted = fitting(self.named(properties), frame_max.saturating_sub(MAC_SIZE));
        let fitted = fitted.ok_or_else(|| {
            format!(
                "its properties do not fit into a frame of {frame_max} bytes; \
                 set frame_max of RabbitMQ to 131072"
            )
        })?;
        let Some(key) = &self.key else { return Ok(fitted) };
        let mac = key.mac(&signed(&fitted, body));
        let mut headers = fitted.headers().clone().unwrap_or_default();
        headers.insert(MAC.into(), AMQPValue::LongString(mac.into()));
        Ok(fitted.with_headers(headers))
    }

    /// The same with our name, where the broker knows us by that.
    pub(super) fn named(&self, properties: BasicProperties) -> BasicProperties {
        match self.user() {
            Some(user) => properties.with_user_id(user.clone()),
            None => properties,
        }
    }

    fn user(&self) -> Option<&ShortString> {
        self.user.as_ref().filter(|_| !self.is_user_refused.load(Ordering::Relaxed))
    }
}

/// Who published a message, as far as the broker has checked that: of a copy of ours a header says it. Nobody knows it of
/// what somebody with another key has put back to the dead letters, which has the name of that person.
pub(super) fn publisher(properties: &BasicProperties, is_copy: bool) -> Option<String> {
    let none = FieldTable::default();
    let headers = properties.headers().as_ref().unwrap_or(&none);
    match (is_copy, headers.contains_key(CLAIMED)) {
        (true, _) => short(headers, USER_ID),
        (false, true) => None,
        (false, false) => plain(properties.user_id()),
    }
}

/// Whether the broker refuses a message because it knows us by another name.
pub(super) fn is_of_user(refusal: &str) -> bool {
    refusal.contains("user_id property")
}

/// What the MAC is over: all that an event and its history are read from.
fn signed(properties: &BasicProperties, body: &[u8]) -> Vec<u8> {
    let none = FieldTable::default();
    let headers = properties.headers().as_ref().unwrap_or(&none);
    let ours: BTreeMap<&str, (Option<String>, bool)> = headers
        .inner()
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .filter(|(name, _)| {
            name.starts_with("x-eventd-") && ![MAC, ALTERED, BODY_SIZE].contains(name)
        })
        .map(|(name, value)| (name, (spelled(value), matches!(value, AMQPValue::LongString(_)))))
        .collect();
    let texts = [
        properties.user_id(),
        properties.content_type(),
        properties.content_encoding(),
        properties.message_id(),
        properties.kind(),
    ];
    json!([
        "mimecast-eventd copy",
        ours,
        texts.map(|text| text.as_ref().map(ShortString::as_str)),
        properties.timestamp(),
        attributes(headers),
        text(headers, "traceparent"),
        Sha256::digest(body).as_slice(),
    ])
    .to_string()
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(user: Option<&str>) -> BasicProperties {
        let mut headers = FieldTable::default();
        for (name, value) in [
            ("x-eventd-exchange", AMQPValue::LongString("events".into())),
            ("x-eventd-user-id", AMQPValue::LongString("hr".into())),
            ("x-eventd-attempts", AMQPValue::LongLongInt(3)),
            ("ce-type", AMQPValue::LongString("user.offboarded".into())),
            ("traceparent", AMQPValue::LongString("00-1-2-01".into())),
            ("foreign", AMQPValue::LongString("kept".into())),
        ] {
            headers.insert(name.into(), value);
        }
        let properties = BasicProperties::default()
            .with_message_id("m-1".into())
            .with_type("user.offboarded".into())
            .with_content_type("application/json".into())
            .with_timestamp(1)
            .with_headers(headers);
        match user {
            Some(user) => properties.with_user_id(user.into()),
            None => properties,
        }
    }

    fn signed_by(authorship: &Authorship) -> BasicProperties {
        authorship.sign(copy(None), b"body", 4096).unwrap()
    }

    fn by(key: &[u8], user: &str) -> Authorship {
        Authorship::by(Some(CopyKey::by(key)), Some(user.into()))
    }

    fn with_header(properties: BasicProperties, name: &str, value: AMQPValue) -> BasicProperties {
        let mut headers = properties.headers().clone().unwrap();
        headers.insert(name.into(), value);
        properties.with_headers(headers)
    }

    #[test]
    fn a_copy_is_believed_by_its_mac_or_by_its_user_and_after_a_change_of_either() {
        let copy = signed_by(&by(b"key", "eventd"));
        assert_eq!(copy.user_id().as_ref().map(ShortString::as_str), Some("eventd"));
        for (reader, is_believed) in [
            (by(b"key", "eventd"), true),
            (by(b"other", "eventd"), true),
            (by(b"key", "other"), true),
            (by(b"other", "other"), false),
            (Authorship::by(None, Some("eventd".into())), true),
            (Authorship::by(Some(CopyKey::by(b"key")), None), true),
            (Authorship::by(None, None), false),
        ] {
            assert_eq!(reader.is_of(&copy, b"body"), is_believed, "{reader:?}");
        }
        // Nobody has this user.
        assert!(!Authorship::by(None, None).is_of(&self::copy(None), b"body"));
    }

    #[test]
    fn a_copy_that_somebody_has_changed_is_not_believed() {
        let (reader, copy) = (by(b"key", "another"), signed_by(&by(b"key", "eventd")));
        let text = |text: &str| AMQPValue::LongString(text.into());
        assert!(reader.is_of(&copy, b"body"));
        assert!(!reader.is_of(&copy, b"another body") && !reader.is_of(&copy, b""));
        for changed in [
            copy.clone().with_message_id("m-2".into()),
            copy.clone().with_type("url.unblock".into()),
            copy.clone().with_content_type("text/plain".into()),
            copy.clone().with_content_encoding("gzip".into()),
            copy.clone().with_timestamp(2),
            copy.clone().with_user_id("evil".into()),
            with_header(copy.clone(), "x-eventd-user-id", text("evil")),
            with_header(copy.clone(), "x-eventd-attempts", AMQPValue::LongLongInt(4)),
            with_header(copy.clone(), "x-eventd-attempts", text("3")),
            with_header(copy.clone(), "x-eventd-done", text("all")),
            with_header(copy.clone(), "ce-type", text("url.unblock")),
            with_header(copy.clone(), "ce-id", text("e-2")),
            with_header(copy.clone(), "traceparent", text("00-1-3-01")),
            with_header(copy.clone(), MAC, text("AAAA")),
        ] {
            assert!(!reader.is_of(&changed, b"body"), "{changed:?}");
        }
        // What the broker and the sieve add on the way, and what nobody reads.
        for (name, value) in [
            ("x-delivery-count", AMQPValue::LongLongInt(4)),
            ("x-death", AMQPValue::FieldArray(Vec::new().into())),
            (ALTERED, text("left out")),
            ("foreign", text("changed")),
        ] {
            assert!(reader.is_of(&with_header(copy.clone(), name, value), b"body"), "{name}");
        }
    }

    #[test]
    fn a_broker_that_knows_us_by_another_name_gets_copies_without_ours() {
        let authorship = by(b"key", "eventd");
        assert!(!authorship.learn("ACCESS_REFUSED - write access to exchange 'x' refused"));
        let refusal =
            "PRECONDITION_FAILED - user_id property set to 'eventd' but authenticated user was 'x'";
        assert!(authorship.learn(refusal));
        assert!(!authorship.learn(refusal), "it was left out already");
        let copy = signed_by(&authorship);
        assert_eq!(copy.user_id(), &None);
        assert!(authorship.is_of(&copy, b"body"), "the MAC is enough");
        assert!(!authorship.is_of(&self::copy(Some("eventd")), b"body"), "that is somebody else");
    }

    #[test]
    fn a_signed_copy_fits_into_the_frame() {
        let text = AMQPValue::LongString("x".repeat(8000).into());
        let authorship = by(b"key", &"u".repeat(255));
        let large = with_header(copy(None), "foreign", text.clone());
        let copy = authorship.sign(large, b"body", 4096).unwrap();
        assert!(!copy.headers().as_ref().unwrap().contains_key("foreign"));
        assert!(authorship.is_of(&copy, b"body"));
        let ours = with_header(copy, "x-eventd-detail", text);
        assert!(authorship.sign(ours, b"body", 4096).is_err());
    }
}
