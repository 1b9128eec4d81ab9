//! What settings may be, and what they come to.

use super::{accepted, refused, with};
use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK};
use crate::support::settings::{Variables, hmac_without_url, named, oauth2_without_url, read};
use mimecast_eventd::event::EventType;
use mimecast_eventd::settings::{Credentials, Mimecast, Node, TopologyMode};
use mimecast_eventd::verdict::Ladder;
use std::time::Duration;

fn node(host: &str, port: u16) -> Node {
    Node { host: host.into(), port }
}

#[test]
fn what_nobody_sets_is_as_documented() {
    let settings = accepted(&with(&[]));
    let amqp = settings.amqp;
    assert_eq!(amqp.address.nodes, [node("127.0.0.1", 5672)]);
    assert_eq!((&*amqp.address.vhost, amqp.address.tls), ("/", false));
    assert_eq!((&*amqp.address.username, amqp.address.password.reveal()), ("guest", "guest"));
    assert!(amqp.ca.is_none() && amqp.client_certificate.is_none());
    assert_eq!((&*amqp.exchange, amqp.topology), ("events", TopologyMode::Declare));
    assert_eq!(amqp.dead_letter_exchange, "mimecast-eventd.dead-letter");
    assert_eq!(amqp.dead_letter_queue, "mimecast-eventd.dead-letter");
    assert_eq!(amqp.heartbeat, seconds(10));
    assert_eq!(settings.lanes.len(), 2);
    for (lane, event_type) in settings.lanes.iter().zip(EventType::ALL) {
        assert_eq!(lane.event_type, event_type);
        assert_eq!(lane.queue, format!("mimecast-eventd.{}", event_type.name()));
        assert_eq!((lane.prefetch, lane.delivery_limit), (16, 20));
        assert!(settings.contract.default_groups(lane.event_type).is_empty());
    }
    let mimecast = settings.mimecast;
    assert_eq!((mimecast.timeout, mimecast.connect_timeout), (seconds(30), seconds(5)));
    assert_eq!(settings.retry.attempts, 4);
    assert_eq!(settings.retry.initial_delay, Duration::from_millis(200));
    assert_eq!(settings.retry.max_delay, seconds(10));
    assert_eq!(
        settings.ladder,
        Ladder::new([10, 60, 300, 1800, 7200, 21600].map(seconds).to_vec())
    );
    assert_eq!(settings.breaker.initial_probe_delay, seconds(5));
    assert_eq!(settings.breaker.max_probe_delay, seconds(30));
    assert_eq!(settings.admin_listen.to_string(), "127.0.0.1:9464");
    assert_eq!(settings.drain_timeout, seconds(25));
    assert_eq!((settings.log.json, settings.log.level), (None, tracing::Level::INFO));
}

#[test]
fn user_name_and_password_override_those_in_the_url() {
    let url = ("AMQP__URL", "amqps://ada:one@broker.example/team%2fa");
    let address = accepted(&with(&[url])).amqp.address;
    assert!(address.tls);
    assert_eq!(address.nodes, [node("broker.example", 5671)]);
    assert_eq!((&*address.vhost, &*address.username), ("team/a", "ada"));
    let own = [url, ("AMQP__USERNAME", "eve"), ("AMQP__PASSWORD", "t w/o")];
    let address = accepted(&with(&own)).amqp.address;
    assert_eq!((&*address.username, address.password.reveal()), ("eve", "t w/o"));
}

#[test]
fn a_password_that_amqp_encrypts_is_not_sent_in_clear_to_the_management_api() {
    let is_taken = |amqp: &str, management: &str| {
        read(&with(&[("AMQP__URL", amqp), ("AMQP__MANAGEMENT_URL", management)])).is_ok()
    };
    assert!(!is_taken("amqps://broker", "http://broker:15672"));
    assert!(is_taken("amqps://broker", "https://broker:15671"));
    assert!(is_taken("amqps://broker", "http://127.0.0.1:15672"));
    assert!(is_taken("amqp://broker", "http://broker:15672"));
}

#[test]
fn a_lane_that_is_not_enabled_is_left_out_and_one_must_remain() {
    let off = |lane: &'static str| (lane, "false");
    let (users, urls) =
        (off("EVENTS__USER_OFFBOARDED__ENABLED"), off("EVENTS__URL_UNBLOCK__ENABLED"));
    let settings = accepted(&with(&[users]));
    assert_eq!(settings.lanes.len(), 1);
    assert_eq!(settings.lanes[0].event_type, EventType::UrlUnblock);
    // Another process may work on its queue: no stranger's answer is put there.
    assert_eq!(settings.own_queues, [OFFBOARDED, UNBLOCK, DEAD_LETTERS]);
    assert_eq!(
        refused(&with(&[users, urls])),
        ["events.\"user.offboarded\".enabled (variable EVENTD_EVENTS__USER_OFFBOARDED__ENABLED): \
          no lane is enabled, so there is nothing to do"]
    );
}

#[test]
fn no_two_things_share_a_queue() {
    for (own, lane) in [
        (("EVENTS__URL_UNBLOCK__QUEUE", "mimecast-eventd.user.offboarded"), "url.unblock"),
        (("AMQP__DEAD_LETTER_QUEUE", "mimecast-eventd.user.offboarded"), "user.offboarded"),
    ] {
        let mistakes = refused(&with(&[own]));
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].starts_with(&format!("events.\"{lane}\".queue (")), "{mistakes:?}");
    }
}

#[test]
fn each_region_of_either_api_has_its_base_url() {
    let hmac = [
        ("eu", "https://eu-api.mimecast.com/"),
        ("de", "https://de-api.mimecast.com/"),
        ("us", "https://us-api.mimecast.com/"),
        ("usb", "https://usb-api.mimecast.com/"),
        ("ca", "https://ca-api.mimecast.com/"),
        ("za", "https://za-api.mimecast.com/"),
        ("au", "https://au-api.mimecast.com/"),
        ("je", "https://je-api.mimecast.com/"),
        ("sandbox", "https://sandbox-api.mimecast.com/"),
        ("uspcom", "https://uspcom-api.mimecast-pscom-us.com/"),
    ];
    let oauth2 = [
        ("global", "https://api.services.mimecast.com/"),
        ("uk", "https://uk-api.services.mimecast.com/"),
        ("us", "https://us-api.services.mimecast.com/"),
    ];
    for (region, url) in hmac {
        let mimecast = mimecast(hmac_without_url(), &[("MIMECAST__REGION", region)]);
        assert_eq!(mimecast.base_url.as_str(), url);
    }
    for (region, url) in oauth2 {
        let mimecast = mimecast(oauth2_without_url(), &[("MIMECAST__REGION", region)]);
        assert_eq!(mimecast.base_url.as_str(), url);
        let Credentials::OAuth2(client) = mimecast.credentials else { panic!() };
        assert_eq!(client.token_url.as_str(), format!("{url}oauth/token"));
    }
}

#[test]
fn a_base_url_overrides_the_region_and_a_token_url_what_follows_from_it() {
    let own = ("MIMECAST__BASE_URL", "https://api.example:8443");
    let region = ("MIMECAST__REGION", "uk");
    let token_url = |own: &[(&str, &str)]| {
        let mimecast = mimecast(oauth2_without_url(), own);
        assert_eq!(mimecast.base_url.as_str(), "https://api.example:8443/");
        let Credentials::OAuth2(client) = mimecast.credentials else { panic!() };
        client.token_url.to_string()
    };
    assert_eq!(token_url(&[own, region]), "https://api.example:8443/oauth/token");
    let other = ("MIMECAST__TOKEN_URL", "https://login.example/v2/token");
    assert_eq!(token_url(&[own, other]), "https://login.example/v2/token");
}

#[test]
fn credentials_go_out_over_tls_or_to_this_very_machine() {
    for url in [
        "https://api.example",
        "http://127.0.0.1:1",
        "http://127.9.9.9",
        "http://[::1]:8080/",
        "http://localhost:80",
    ] {
        mimecast(oauth2_without_url(), &[("MIMECAST__BASE_URL", url)]);
        let own = [("MIMECAST__REGION", "uk"), ("MIMECAST__TOKEN_URL", url)];
        mimecast(oauth2_without_url(), &own);
    }
    for (url, problem) in [
        ("http://api.example", "must begin with https://"),
        ("http://api.example:8080", "must begin with https://"),
        ("http://localhost.example", "must begin with https://"),
        ("http://127.0.0.1.example", "must begin with https://"),
        ("http://0.0.0.0", "must begin with https://"),
        ("http://10.0.0.1", "must begin with https://"),
        ("ftp://127.0.0.1", "must begin with https://"),
        ("https://user:secret@api.example", "must not hold a user name or password"),
        ("https://user@api.example", "must not hold a user name or password"),
        ("https://api.example?x=1", "takes no ? or # part"),
        ("https://api.example#x", "takes no ? or # part"),
        ("https://", "is not a URL such as"),
        ("api.example", "is not a URL such as"),
    ] {
        for (name, key) in [
            ("MIMECAST__BASE_URL", "mimecast.base_url"),
            ("MIMECAST__TOKEN_URL", "mimecast.token_url"),
        ] {
            let mistakes = refused(&with(&[(name, url)]));
            let expected = format!("{key} (variable EVENTD_{name}): {problem}");
            assert!(mistakes.len() == 1 && mistakes[0].starts_with(&expected), "{mistakes:?}");
        }
    }
    let mistakes = refused(&with(&[("MIMECAST__BASE_URL", "https://api.example/v1")]));
    assert!(mistakes[0].ends_with("must not have a path"), "{mistakes:?}");
}

#[test]
fn a_secret_of_mimecast_has_at_least_eight_bytes() {
    let (seven, eight) = ("1234567", "12345678");
    let keys =
        ["ACCESS_KEY", "APP_ID", "APP_KEY"].map(|key| (hmac_without_url(), key, seven, eight));
    let secret = (hmac_without_url(), "SECRET_KEY", "QQ==", "QUFBQQ==");
    let clients =
        ["CLIENT_ID", "CLIENT_SECRET"].map(|key| (oauth2_without_url(), key, seven, eight));
    for (mut variables, key, short, long) in keys.into_iter().chain([secret]).chain(clients) {
        let name = format!("MIMECAST__{key}");
        let region = if key.starts_with("CLIENT") { "uk" } else { "eu" };
        variables.extend([named("MIMECAST__REGION", region), named(&name, long)]);
        accepted(&variables);
        variables.extend([named(&name, short)]);
        let mistakes = refused(&variables);
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].contains("must be at least 8 bytes long"), "{mistakes:?}");
        assert!(!mistakes[0].contains(short), "{mistakes:?}");
    }
}

#[test]
fn a_password_of_rabbitmq_has_nothing_that_nobody_types_and_white_space_around_it_is_told() {
    for (text, is_refused) in [
        ("pass\u{0}word", true),
        ("pass\nword", true),
        ("\u{feff}password", true),
        ("pass\u{85}word", true),
        ("pässwörd ", false),
        (" password", false),
        ("pass word", false),
    ] {
        let settings = read(&with(&[("AMQP__PASSWORD", text)]));
        assert_eq!(settings.is_err(), is_refused, "{text:?}");
        let Ok(settings) = settings else { continue };
        assert_eq!(settings.amqp.address.password.reveal(), text);
        let told: Vec<&str> = settings.warnings.iter().map(|it| it.key.as_str()).collect();
        let expected = if text.trim() == text { &[][..] } else { &["amqp.password"] };
        assert_eq!(told, expected, "{text:?}");
    }
    for url in [
        "amqp://a:pass%00word@127.0.0.1",
        "amqp://a:%EF%BB%BFpassword@127.0.0.1",
        "amqp://a%0a:b@127.0.0.1",
    ] {
        let mistakes = refused(&with(&[("AMQP__URL", url)]));
        assert!(mistakes[0].contains("must have no control characters"), "{mistakes:?}");
    }
}

#[test]
fn a_password_that_crosses_a_network_unencrypted_is_told() {
    for (url, is_told) in [
        ("amqp://a:b@127.0.0.1/%2f", false),
        ("amqp://a:b@127.8.9.1/%2f", false),
        ("amqp://a:b@[::1]/%2f", false),
        ("amqp://a:b@LocalHost/%2f", false),
        ("amqps://a:b@broker/%2f", false),
        ("amqp://a:b@broker/%2f", true),
        ("amqp://broker/%2f", true),
        ("amqp://a:b@127.0.0.1/v,amqp://a:b@10.0.0.1/v", true),
    ] {
        let warnings = accepted(&with(&[("AMQP__URL", url)])).warnings;
        assert_eq!(warnings.len(), usize::from(is_told), "{url}: {warnings:?}");
        assert!(warnings.iter().all(|it| it.key == "amqp.url" && !it.to_string().contains("a:b")));
    }
}

#[test]
fn a_signing_key_is_decoded_and_may_not_be_empty() {
    let own = [("MIMECAST__REGION", "eu"), ("MIMECAST__SECRET_KEY", " U2VjcmV0S2V5 ")];
    let Credentials::Hmac(keys) = mimecast(hmac_without_url(), &own).credentials else { panic!() };
    assert_eq!(keys.secret_key.reveal(), b"SecretKey");
    for (text, problem) in [
        ("", "must not be empty"),
        (" ", "must not be empty"),
        ("not base64!", "must be base64, as Mimecast issues it"),
        ("U2VjcmV0S2V5=", "must be base64, as Mimecast issues it"),
    ] {
        let mistakes = refused(&with(&[("MIMECAST__SECRET_KEY", text)]));
        assert!(mistakes.len() == 1 && mistakes[0].ends_with(problem), "{mistakes:?}");
    }
}

#[test]
fn durations_and_numbers_keep_their_bounds() {
    for (name, least, most, beyond) in [
        ("AMQP__HEARTBEAT", "1s", "10m", ["999ms", "601s"]),
        ("MIMECAST__TIMEOUT", "1ms", "4m", ["0s", "241s"]),
        ("MIMECAST__CONNECT_TIMEOUT", "1ms", "4m", ["0s", "241s"]),
        ("RETRY__INITIAL_DELAY", "1ms", "10s", ["0ms", "6m"]),
        ("RETRY__MAX_DELAY", "200ms", "5m", ["0s", "301s"]),
        ("BREAKER__INITIAL_PROBE_DELAY", "10ms", "30s", ["9ms", "901s"]),
        ("BREAKER__MAX_PROBE_DELAY", "5s", "15m", ["9ms", "901s"]),
        ("DRAIN_TIMEOUT", "0s", "20m", ["1201s", "1h"]),
        ("RETRY__ATTEMPTS", "1", "100", ["0", "101"]),
        ("EVENTS__USER_OFFBOARDED__PREFETCH", "1", "1000", ["0", "1001"]),
        ("EVENTS__URL_UNBLOCK__DELIVERY_LIMIT", "1", "1000", ["0", "1001"]),
        ("POLICY__MAX_COMMANDS", "1", "100000", ["0", "100001"]),
        ("POLICY__WINDOW", "1s", "24h", ["999ms", "86401s"]),
    ] {
        for value in [least, most] {
            accepted(&with(&[(name, value)]));
        }
        for value in beyond {
            let mistakes = refused(&with(&[(name, value)]));
            assert!(mistakes[0].contains(": must be between "), "{name}: {mistakes:?}");
        }
    }
}

#[test]
fn first_delays_are_not_longer_than_the_longest_and_the_ladder_climbs() {
    let order = |name: &str, value: &str, expected: &str| {
        let mistakes = refused(&with(&[(name, value)]));
        assert!(mistakes.len() == 1 && mistakes[0].ends_with(expected), "{mistakes:?}");
    };
    order("RETRY__INITIAL_DELAY", "11s", "must not be longer than retry.max_delay");
    order("RETRY__MAX_DELAY", "100ms", "must not be longer than retry.max_delay");
    let problem = "must not be longer than breaker.max_probe_delay";
    order("BREAKER__INITIAL_PROBE_DELAY", "6m", problem);
    order("RETRY__LADDER", r#"["1m","10s"]"#, "each entry must be longer than the one before");
    order("RETRY__LADDER", r#"["1m","60s"]"#, "each entry must be longer than the one before");
    order("RETRY__LADDER", r#"["99ms"]"#, "each entry must be between 100ms and 7days");
    order("RETRY__LADDER", r#"["8days"]"#, "each entry must be between 100ms and 7days");
    order("RETRY__LADDER", r#"["soon"]"#, "each entry must be a duration such as 200ms, 30s or 5m");
    assert_eq!(accepted(&with(&[("RETRY__LADDER", "[]")])).ladder, Ladder::default());
}

fn mimecast(mut variables: Variables, own: &[(&str, &str)]) -> Mimecast {
    variables.extend(own.iter().map(|(name, value)| named(name, value)));
    accepted(&variables).mimecast
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
