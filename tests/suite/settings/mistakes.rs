//! What is said when settings are wrong: all of it at once, each with its key and its source.

use super::{file, os, printed, refused, refused_file, with};
use crate::support::settings::{Variables, hmac_without_url, named, oauth2_without_url, read};
use mimecast_eventd::settings::{Settings, Sources};
use tempfile::TempDir;

#[test]
fn all_mistakes_of_all_sources_are_told_at_once_each_with_its_key_and_source() {
    let folder = TempDir::new().unwrap();
    let text = "drain_timeout = 25\nverbose = true\n[amqp]\npassword = \"x\"\ntopology = \"guess\"\n\
                [mimecast]\ntimeuot = \"1s\"\n[events.\"url.unblock\"]\nenabled = \"maybe\"\n";
    let path = file(&folder, "settings.toml", text);
    let variables: Variables = [
        named("AMQP__URL", "http://broker"),
        named("AMQP__EXCHANGE", " "),
        named("AMQP__TLS__CERT_FILE", "/nowhere"),
        named("EVENTS__USER_OFFBOARDED__PREFETCH", "many"),
        named("EVENTS__USER_OFFBOARDED__DEFAULT_GROUPS", "[\"\"]"),
        named("MIMECAST__AUTH", "hmac"),
        named("MIMECAST__REGION", "mars"),
        named("MIMECAST__ACCESS_KEY", "two words"),
        named("MIMECAST__SECRET_KEY", "???"),
        named("MIMECAST__APP_KEY_FILE", "/nowhere"),
        named("RETRY__MAX_DELAY", "long"),
        named("RETRY__LADDER", "10s"),
        named("BREAKER__MAX_PROBE_DELAY", "1s"),
        named("ADMIN_LISTEN", "127.0.0.1:1"),
    ]
    .into();
    let flags = [("admin.listen", "nine".to_owned()), ("log.level", "loud".to_owned())];
    let mistakes = printed(Settings::read(Sources::gather(flags, os(&variables), Some(&path))));
    let path = path.display().to_string();
    let mistakes: Vec<String> =
        mistakes.iter().map(|mistake| mistake.replace(&path, "settings")).collect();
    assert_eq!(
        mistakes,
        [
            "amqp.password (file settings): is a secret and belongs in EVENTD_AMQP__PASSWORD or \
             EVENTD_AMQP__PASSWORD_FILE",
            "mimecast.timeuot (file settings): there is no such key; did you mean mimecast.timeout?",
            "verbose (file settings): there is no such key",
            "EVENTD_ADMIN_LISTEN (variable EVENTD_ADMIN_LISTEN): there is no such variable; did you \
             mean EVENTD_ADMIN__LISTEN?",
            "mimecast.app_key (file named by EVENTD_MIMECAST__APP_KEY_FILE): cannot be read: No such \
             file or directory (os error 2)",
            "amqp.url (variable EVENTD_AMQP__URL): must begin with amqp:// or amqps://",
            "amqp.tls.cert_file (variable EVENTD_AMQP__TLS__CERT_FILE): names a file that cannot be \
             read",
            "amqp.exchange (variable EVENTD_AMQP__EXCHANGE): must not be empty",
            "amqp.topology (file settings): must be one of declare, verify",
            "events.\"user.offboarded\".prefetch (variable \
             EVENTD_EVENTS__USER_OFFBOARDED__PREFETCH): must be a whole number",
            "events.\"url.unblock\".enabled (file settings): must be one of true, false",
            "events.\"user.offboarded\".default_groups (variable \
             EVENTD_EVENTS__USER_OFFBOARDED__DEFAULT_GROUPS): has a blank entry",
            "mimecast.region (variable EVENTD_MIMECAST__REGION): must be one of eu, de, us, usb, ca, \
             za, au, je, sandbox, uspcom",
            "mimecast.access_key (variable EVENTD_MIMECAST__ACCESS_KEY): must be visible ASCII \
             characters without spaces",
            "mimecast.secret_key (variable EVENTD_MIMECAST__SECRET_KEY): must be base64, as \
             Mimecast issues it",
            "mimecast.app_id (not set): is required",
            "retry.max_delay (variable EVENTD_RETRY__MAX_DELAY): must be a duration such as 200ms, \
             30s or 5m",
            "retry.ladder (variable EVENTD_RETRY__LADDER): must be a list such as [\"one\",\"two\"]",
            "breaker.initial_probe_delay (default): must not be longer than breaker.max_probe_delay",
            "admin.listen (flag --admin-listen): must be an address and port such as 127.0.0.1:9464",
            "drain_timeout (file settings): must be a duration such as 200ms, 30s or 5m",
            "log.level (flag --log-level): must be one of error, warn, info, debug",
        ]
    );
}

#[test]
fn what_the_way_to_authenticate_needs_is_required_and_nothing_else() {
    let required = |kind: &str| {
        refused(&[named("MIMECAST__AUTH", kind), named("MIMECAST__REGION", "us")].into())
    };
    let missing = |keys: &[&str]| -> Vec<String> {
        keys.iter().map(|key| format!("mimecast.{key} (not set): is required")).collect()
    };
    assert_eq!(required("hmac"), missing(&["access_key", "secret_key", "app_id", "app_key"]));
    assert_eq!(required("oauth2"), missing(&["client_id", "client_secret"]));
    assert_eq!(refused(&Variables::new()), missing(&["auth"]));
    assert_eq!(
        required("basic"),
        ["mimecast.auth (variable EVENTD_MIMECAST__AUTH): must be one of hmac, oauth2"]
    );
}

#[test]
fn a_place_is_required_and_a_region_belongs_to_its_api() {
    let nowhere = ["mimecast.base_url (not set): is required, or else mimecast.region"];
    assert_eq!(refused(&hmac_without_url()), nowhere);
    assert_eq!(refused(&oauth2_without_url()), nowhere);
    let mut variables = oauth2_without_url();
    variables.extend([named("MIMECAST__REGION", "eu")]);
    let expected =
        "mimecast.region (variable EVENTD_MIMECAST__REGION): must be one of global, uk, us";
    assert_eq!(refused(&variables), [expected]);
    variables.extend([named("MIMECAST__BASE_URL", "https://api.example")]);
    assert_eq!(refused(&variables), [expected], "a base URL does not make it right");
}

#[test]
fn an_unknown_key_is_a_mistake_with_the_nearest_known_one() {
    for (name, near) in [
        ("MIMECAST__TIMEOT", "; did you mean EVENTD_MIMECAST__TIMEOUT?"),
        ("MIMECAST_TIMEOUT", "; did you mean EVENTD_MIMECAST__TIMEOUT?"),
        (
            "EVENTS__USER__OFFBOARDED__QUEUE",
            "; did you mean EVENTD_EVENTS__USER_OFFBOARDED__QUEUE?",
        ),
        ("mimecast__timeout", ""),
        ("XYZZY", ""),
    ] {
        let mistake = format!("EVENTD_{name} (variable EVENTD_{name}): there is no such variable");
        assert_eq!(refused(&with(&[(name, "x")])), [format!("{mistake}{near}")]);
    }
    for (text, key, near) in [
        ("[retry]\natempts = 3", "retry.atempts", "; did you mean retry.attempts?"),
        ("[retry.ladders]", "retry.ladders", "; did you mean retry.ladder?"),
        ("[[xyzzy]]\nx = 1", "xyzzy", ""),
        ("[events.\"user.offborded\"]\nqueue = \"x\"", "events.\"user.offborded\".queue", ""),
        ("[events.user.offboarded]\nqueue = \"x\"", "events.user.offboarded.queue", ""),
    ] {
        let mistakes = refused_file(text);
        let mistake = format!("{key} (file settings): there is no such key{near}");
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(&mistake), "{mistakes:?}");
    }
}

#[test]
fn a_queue_whose_delay_queues_would_have_no_names_is_a_mistake() {
    let queue = |length| read(&with(&[("EVENTS__URL_UNBLOCK__QUEUE", &"q".repeat(length))]));
    // The longest of them is `….retry.30m`.
    assert_eq!(queue(245).unwrap().lanes[1].queue.len(), 245);
    let mistakes = printed(queue(246));
    let expected = "events.\"url.unblock\".queue (variable EVENTD_EVENTS__URL_UNBLOCK__QUEUE): \
                    is too long: the names of its delay queues exceed 255 bytes";
    assert_eq!(mistakes, [expected]);
}

#[test]
fn a_further_name_of_a_type_is_one_that_a_routing_key_can_be_and_nothing_else_is_called() {
    let key = "events.\"url.unblock\".types (variable EVENTD_EVENTS__URL_UNBLOCK__TYPES)";
    for (types, problem) in [
        (r#"["a", " "]"#.to_owned(), "has a blank entry"),
        (format!("[{:?}]", "n".repeat(256)), "has an entry of more than 255 bytes"),
        (
            r#"["com.example.#"]"#.to_owned(),
            "has an entry with #, which would bind other names too",
        ),
        (r#"["a", "*"]"#.to_owned(), "has an entry without a letter or digit, which names no type"),
        (r#"["*.*"]"#.to_owned(), "has an entry without a letter or digit, which names no type"),
        (r#"["a*", "a*"]"#.to_owned(), "has an entry that is the name of a type already"),
        (r#"["user.offboarded"]"#.to_owned(), "has an entry that is the name of a type already"),
        (r#"["a", "a"]"#.to_owned(), "has an entry that is the name of a type already"),
    ] {
        let mistakes = refused(&with(&[("EVENTS__URL_UNBLOCK__TYPES", &types)]));
        assert_eq!(mistakes, [format!("{key}: {problem}")]);
    }
    let longest = format!("[{:?}]", "n".repeat(255));
    assert!(read(&with(&[("EVENTS__URL_UNBLOCK__TYPES", &longest)])).is_ok());
    let both = with(&[
        ("EVENTS__USER_OFFBOARDED__TYPES", r#"["com.example.it"]"#),
        ("EVENTS__URL_UNBLOCK__TYPES", r#"["com.example.it"]"#),
    ]);
    assert_eq!(refused(&both), [format!("{key}: has an entry that is the name of a type already")]);
    let pattern = "Company.Soc.UrlUnblock, Company.Soc, Version=*";
    assert!(read(&with(&[("EVENTS__URL_UNBLOCK__TYPES", &format!("[{pattern:?}]"))])).is_ok());
}

#[test]
fn a_policy_that_says_nothing_is_a_mistake() {
    for (name, value, problem) in [
        ("ALLOWED_SOURCES", r#"["/hr", " "]"#, "has a blank entry"),
        ("ALLOWED_USERS", r#"[""]"#, "has a blank entry"),
        ("PROTECTED_ADDRESSES", r#"[""]"#, "has a blank entry"),
        ("MAX_EVENT_AGE", "0s", "must be at least 1s"),
        ("MAX_EVENT_AGE", "old", "must be a duration such as 200ms, 30s or 5m"),
        ("ALLOW_UNDATED", "maybe", "must be one of true, false"),
    ] {
        let variable = format!("POLICY__{name}");
        let key = format!("policy.{}", name.to_lowercase());
        let mistakes = refused(&with(&[(&variable, value)]));
        assert_eq!(mistakes, [format!("{key} (variable EVENTD_{variable}): {problem}")]);
    }
}

#[test]
fn a_binding_key_is_one_that_amqp_has_room_for() {
    let key = "events.\"user.offboarded\".binding_keys (variable EVENTD_EVENTS__USER_OFFBOARDED__BINDING_KEYS)";
    for (keys, problem) in [
        (r#"["hr.#", ""]"#.to_owned(), "has a blank entry"),
        (format!("[{:?}]", "n".repeat(256)), "has an entry of more than 255 bytes"),
        ("hr.#".to_owned(), r#"must be a list such as ["one","two"]"#),
    ] {
        let mistakes = refused(&with(&[("EVENTS__USER_OFFBOARDED__BINDING_KEYS", &keys)]));
        assert_eq!(mistakes, [format!("{key}: {problem}")]);
    }
}

#[test]
fn a_map_has_the_fields_of_its_event_and_pointers_to_them() {
    let key = "events.\"url.unblock\".map (variable EVENTD_EVENTS__URL_UNBLOCK__MAP)";
    for (map, problem) in [
        (
            r#"{ emailAddress = "/a" }"#,
            "has no field \"emailAddress\": it has id, ids, url, effectiveAt, event_id, time",
        ),
        (r#"{ id = "a" }"#, "id must be a JSON Pointer such as /user/profile/email"),
        (r#"{ id = "/a~" }"#, "id has a ~ that is no escape; write it as ~0"),
        (
            r#"{ id = "/a", url = "/b" }"#,
            "points to more than one of id, ids, url: an event has one",
        ),
        (r#"{ id = 7 }"#, r#"must be a table of texts such as { one = "two" }"#),
        (r#"["/a"]"#, r#"must be a table of texts such as { one = "two" }"#),
        ("{}\nid = \"/a\"", r#"must be a table of texts such as { one = "two" }"#),
    ] {
        let mistakes = refused(&with(&[("EVENTS__URL_UNBLOCK__MAP", map)]));
        assert_eq!(mistakes, [format!("{key}: {problem}")], "{map}");
    }
    assert!(
        read(&with(&[("EVENTS__URL_UNBLOCK__MAP", r#"{ ids = "/a/0", time = "/" }"#)])).is_ok()
    );
}

#[test]
fn a_name_that_would_go_on_in_another_line_or_move_the_cursor_is_told_escaped() {
    let mistakes = refused_file("\"one\\ntwo\\u001b[2J\" = 1\n");
    assert_eq!(mistakes, [r"one\ntwo\u{1b}[2J (file settings): there is no such key"]);
    let mistakes = refused(&with(&[("7\r7", "x")]));
    assert_eq!(mistakes, [r"EVENTD_7\r7 (variable EVENTD_7\r7): there is no such variable"]);
}
