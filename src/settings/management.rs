//! The setting `amqp.management_url`: where RabbitMQ's management API is, and who asks it.

use super::mimecast::is_loopback;
use super::reader::{Reader, decode, typed};
use crate::secrecy::Secret;
use url::Url;

/// Where RabbitMQ's management API is, and who asks it.
#[derive(Clone, Debug)]
pub struct Management {
    /// Its base URL, without credentials.
    pub url: Url,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
}

impl Management {
    /// Reads it, if it is set. The user is that of AMQP, unless the URL names another one. A password that AMQP sends
    /// encrypted, by `tls`, is sent so here too.
    pub(super) fn read(
        reader: &mut Reader,
        tls: bool,
        (username, password): (&str, &Secret),
    ) -> Option<Management> {
        let mut management = reader.optional("amqp.management_url", Management::parse)?;
        if management.username.is_empty() {
            username.clone_into(&mut management.username);
            management.password = password.clone();
        }
        if tls && management.url.scheme() == "http" && !is_loopback(&management.url) {
            let problem = "must begin with https:// where amqp.url begins with amqps://";
            reader.mistake("amqp.management_url", problem);
        }
        Some(management)
    }

    /// What is wrong is said without a word of the URL: it may hold a password.
    fn parse(text: &str) -> Result<Management, &'static str> {
        let mut url = Url::parse(text.trim())
            .map_err(|_| "is not a URL such as https://rabbitmq.example.com:15671")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("must begin with http:// or https://");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("takes no ? or # part");
        }
        let username = typed(&decode(url.username())?)?;
        let password = Secret::new(typed(&decode(url.password().unwrap_or_default())?)?);
        if username.is_empty() && !password.reveal().is_empty() {
            return Err("has a password without a user name");
        }
        url.set_username("").expect("a URL of HTTP can have a user name");
        url.set_password(None).expect("a URL of HTTP can have a password");
        Ok(Management { url, username, password })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_come_out_of_the_url_and_no_refusal_repeats_it() {
        let read = Management::parse(" https://a%40b:p%3Aq@broker:15671/rabbit ").unwrap();
        assert_eq!(read.url.as_str(), "https://broker:15671/rabbit");
        assert_eq!((read.username.as_str(), read.password.reveal()), ("a@b", "p:q"));
        assert!(!format!("{read:?}").contains("p:q"));
        assert_eq!(Management::parse("http://broker:15672").unwrap().username, "");
        for text in [
            "canary",
            "amqp://canary:canary@broker",
            "http://:canary@broker",
            "http://broker/?canary",
            "http://broker/#canary",
            "http://canary%ff@broker",
        ] {
            let refusal = Management::parse(text).unwrap_err();
            assert!(!refusal.contains("canary"), "{refusal}");
        }
    }
}
