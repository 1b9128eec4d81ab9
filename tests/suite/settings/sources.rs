//! Where settings come from, and which source wins.

use super::{accepted, file, os, printed, refused, refused_file, with};
use crate::support::settings::named;
use mimecast_eventd::event::EventType;
use mimecast_eventd::settings::{Credentials, SETTINGS, Settings, Sources};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use tempfile::TempDir;

#[test]
fn a_flag_wins_over_a_variable_that_over_the_file_and_that_over_the_default() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "settings.toml", "retry.attempts = 5\n");
    let attempts = |flag: Option<&str>, variable: Option<&str>, path| {
        let flags = flag.map(|value| ("retry.attempts", value.to_owned()));
        let mut variables = with(&[]);
        variables.extend(variable.map(|value| named("RETRY__ATTEMPTS", value)));
        Settings::read(Sources::gather(flags, os(&variables), path)).unwrap().retry.attempts
    };
    assert_eq!(attempts(None, None, None), 4);
    assert_eq!(attempts(None, None, Some(&*path)), 5);
    assert_eq!(attempts(None, Some("6"), Some(&*path)), 6);
    assert_eq!(attempts(Some("7"), Some("6"), Some(&*path)), 7);
}

#[test]
fn each_source_may_say_what_the_others_do_not() {
    let folder = TempDir::new().unwrap();
    let text = "drain_timeout = \"3s\"\n[events.\"user.offboarded\"]\nprefetch = 3\n\
                default_groups = [\"one\", \"t\\\"wo\"]\n\
                types = [\"com.example.left\"]\nbinding_keys = [\"hr.#\"]\n\
                [events.\"user.offboarded\".map]\nemailAddress = \"/a \\\"b\"\n[events.\"url.unblock\"]\nenabled = false\n";
    let path = file(&folder, "settings.toml", text);
    let flags = [("log.level", "debug".to_owned())];
    let variables = with(&[("EVENTS__USER_OFFBOARDED__QUEUE", "mine")]);
    let settings = Settings::read(Sources::gather(flags, os(&variables), Some(&path))).unwrap();
    assert_eq!(settings.drain_timeout.as_secs(), 3);
    assert_eq!(settings.lanes.len(), 1);
    assert_eq!((settings.lanes[0].prefetch, &*settings.lanes[0].queue), (3, "mine"));
    assert_eq!(settings.contract.default_groups(EventType::UserOffboarded), ["one", "t\"wo"]);
    let names: Vec<&str> = settings.contract.reading.names.of(EventType::UserOffboarded).collect();
    assert_eq!(names, ["user.offboarded", "com.example.left"]);
    let bindings = settings.contract.reading.names.bindings(EventType::UserOffboarded);
    assert_eq!(bindings.last(), Some("hr.#"));
    let pointers = settings.contract.reading.pointers(EventType::UserOffboarded);
    assert_eq!(pointers.of("emailAddress").unwrap().to_string(), "/a \"b");
    assert_eq!(settings.log.level, tracing::Level::DEBUG);
}

#[test]
fn a_queue_is_a_name_of_its_type_for_what_comes_straight_to_it() {
    let (left, queue) = (EventType::UserOffboarded, "EVENTS__USER_OFFBOARDED__QUEUE");
    for (dry_run, of_dry_run) in [("false", None), ("true", Some(left))] {
        let settings = accepted(&with(&[(queue, "identity.left"), ("POLICY__DRY_RUN", dry_run)]));
        let names = settings.contract.reading.names;
        assert_eq!(names.by_routing_key("identity.left", None), Some(left));
        assert_eq!(names.by_routing_key("identity.left.dry-run", None), of_dry_run);
        let other = names.by_routing_key("mimecast-eventd.url.unblock", Some(left));
        assert_eq!(other, Some(EventType::UrlUnblock));
    }
}

#[test]
fn the_runtime_folder_is_the_services_own_or_else_in_that_of_the_user_and_an_empty_name_is_none() {
    let folder = |variables: &[(&str, &str)]| {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Sources::gather([], variables, None).runtime_folder().map(Path::to_owned)
    };
    let user = ("XDG_RUNTIME_DIR", "/run/user/1000");
    let of_user = Some("/run/user/1000/mimecast-eventd".into());
    assert_eq!(
        folder(&[("RUNTIME_DIRECTORY", "/run/one:/run/two"), user]),
        Some("/run/one".into())
    );
    assert_eq!(folder(&[user]), of_user);
    assert_eq!(folder(&[("RUNTIME_DIRECTORY", ""), user]), of_user);
    assert_eq!(folder(&[("RUNTIME_DIRECTORY", ""), ("XDG_RUNTIME_DIR", "")]), None);
}

#[test]
fn variables_of_others_are_nobodys_business() {
    let mut variables = with(&[]);
    variables.insert("PATH".into(), "/bin".into());
    variables.insert("EVENTD".into(), "x".into());
    variables.insert("EVENTD_CONFIG".into(), "/nowhere".into());
    accepted(&variables);
}

#[test]
fn a_secret_comes_from_the_file_that_its_variable_names_without_the_last_newline() {
    let folder = TempDir::new().unwrap();
    for text in ["the-key-1", "the-key-1\n", "the-key-1\r\n"] {
        let path = file(&folder, "secret", text);
        let mut variables = with(&[("MIMECAST__ACCESS_KEY_FILE", path.to_str().unwrap())]);
        variables.remove("EVENTD_MIMECAST__ACCESS_KEY");
        let Credentials::Hmac(keys) = accepted(&variables).mimecast.credentials else { panic!() };
        assert_eq!(keys.access_key.reveal(), "the-key-1", "{text:?}");
    }
}

#[test]
fn a_credential_of_the_service_is_a_secret_that_a_variable_wins_over() {
    let folder = TempDir::new().unwrap();
    let mut variables = with(&[]);
    variables.remove("EVENTD_MIMECAST__ACCESS_KEY");
    variables.insert("CREDENTIALS_DIRECTORY".into(), folder.path().to_str().unwrap().into());
    for (name, text) in [
        ("eventd_mimecast.access_key", "from-systemd\n"),
        ("eventd_mimecast.app_id", "also-from-systemd"),
        ("certificate-of-somebody-else", "x"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let Credentials::Hmac(keys) = accepted(&variables).mimecast.credentials else { panic!() };
    assert_eq!(keys.access_key.reveal(), "from-systemd");
    assert_ne!(keys.app_id.reveal(), "also-from-systemd", "the variable says something else");

    // What is no secret, and what is mistyped, is found by its name and never by its value.
    std::fs::write(folder.path().join("eventd_mimecast.region"), "canary").unwrap();
    std::fs::write(folder.path().join("eventd_mimecast.app_kye"), "canary").unwrap();
    let said = refused(&variables).join("\n");
    assert!(
        said.contains(
            "mimecast.region (credential eventd_mimecast.region): there is no such secret"
        ),
        "{said}"
    );
    assert!(said.contains("did you mean mimecast.app_key?"), "{said}");
    assert!(!said.contains("canary"), "{said}");

    // A folder that is not there is told, and not taken for one without secrets.
    variables.insert(
        "CREDENTIALS_DIRECTORY".into(),
        folder.path().join("gone").to_str().unwrap().into(),
    );
    let said = refused(&variables).join("\n");
    assert!(
        said.contains("credentials (variable CREDENTIALS_DIRECTORY): cannot be read"),
        "{said}"
    );
}

#[test]
fn the_brokers_url_is_a_secret_with_a_default_and_may_come_from_a_file() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "secret", "amqp://ada:pass@broker:1234/team\n");
    let address = accepted(&with(&[("AMQP__URL_FILE", path.to_str().unwrap())])).amqp.address;
    let node = mimecast_eventd::settings::Node { host: "broker".into(), port: 1234 };
    assert_eq!((&address.nodes[..], &*address.vhost), (&[node][..], "team"));
    assert_eq!((&*address.username, address.password.reveal()), ("ada", "pass"));
}

#[test]
fn a_secret_and_its_file_at_once_are_a_mistake() {
    let mistakes = refused(&with(&[("MIMECAST__APP_ID_FILE", "/nowhere")]));
    assert_eq!(
        mistakes,
        ["mimecast.app_id (variable EVENTD_MIMECAST__APP_ID_FILE): \
          EVENTD_MIMECAST__APP_ID is set as well; set one of the two"]
    );
}

#[test]
fn a_secrets_file_that_cannot_be_used_is_one_mistake() {
    let folder = TempDir::new().unwrap();
    let origin = "mimecast.app_key (file named by EVENTD_MIMECAST__APP_KEY_FILE): ";
    for (path, problem) in [
        (folder.path().join("nowhere"), "cannot be read: No such file or directory (os error 2)"),
        (folder.path().into(), "cannot be read: Is a directory (os error 21)"),
        (file(&folder, "latin1", b"se\xe4cret"), "the file is not UTF-8"),
        (file(&folder, "empty", ""), "must not be empty"),
        (file(&folder, "newline", "\n"), "must not be empty"),
        (file(&folder, "two-lines", "a\nb\n"), "must be visible ASCII characters without spaces"),
    ] {
        let mut variables = with(&[("MIMECAST__APP_KEY_FILE", path.to_str().unwrap())]);
        variables.remove("EVENTD_MIMECAST__APP_KEY");
        assert_eq!(refused(&variables), [format!("{origin}{problem}")]);
    }
}

#[test]
fn no_secret_may_be_an_empty_file() {
    let folder = TempDir::new().unwrap();
    for (text, setting) in ["", "\n", " \n"].into_iter().flat_map(|text| {
        SETTINGS.iter().filter(|setting| setting.secret).map(move |setting| (text, setting))
    }) {
        let path = file(&folder, "empty", text);
        let is_of_client = setting.key.starts_with("mimecast.client");
        let mut variables = with(&[]);
        if is_of_client {
            variables.insert("EVENTD_MIMECAST__AUTH".into(), "oauth2".into());
        }
        variables.remove(&setting.variable());
        let variable = format!("{}_FILE", setting.variable());
        variables.insert(variable.clone(), path.to_str().unwrap().into());
        let mistakes = refused(&variables).join("\n");
        let expected = format!("{} (file named by {variable}): ", setting.key);
        assert!(mistakes.contains(&expected), "{text:?}: {mistakes}");
    }
}

#[test]
fn only_a_secret_can_come_from_a_file_of_its_own() {
    let mistakes = refused(&with(&[("LOG__LEVEL_FILE", "/nowhere")]));
    assert_eq!(
        mistakes,
        ["EVENTD_LOG__LEVEL_FILE (variable EVENTD_LOG__LEVEL_FILE): \
          there is no such variable; did you mean EVENTD_LOG__LEVEL?"]
    );
}

#[test]
fn a_variable_that_is_not_utf8_is_one_mistake() {
    for (variable, key) in
        [("MIMECAST__SECRET_KEY", "mimecast.secret_key"), ("AMQP__EXCHANGE", "amqp.exchange")]
    {
        let mut environment = os(&with(&[]));
        let name = OsString::from(format!("EVENTD_{variable}"));
        environment.retain(|(known, _)| *known != name);
        environment.push((name, OsString::from_vec(b"caf\xe9".to_vec())));
        let mistakes = printed(Settings::read(Sources::gather([], environment, None)));
        assert_eq!(mistakes, [format!("{key} (variable EVENTD_{variable}): is not UTF-8")]);
    }
}

#[test]
fn a_secret_in_the_settings_file_is_a_mistake_that_says_where_it_belongs() {
    for text in ["[mimecast]\napp_key = \"x\"\n", "mimecast.app_key = 7\n", "[mimecast.app_key]\n"]
    {
        assert_eq!(
            refused_file(text),
            ["mimecast.app_key (file settings): is a secret and belongs in \
              EVENTD_MIMECAST__APP_KEY or EVENTD_MIMECAST__APP_KEY_FILE"]
        );
    }
}

#[test]
fn a_settings_file_that_cannot_be_used_is_a_mistake_with_its_line() {
    for (text, problem) in [
        (b"a = \xff".as_slice(), "cannot be read: stream did not contain valid UTF-8"),
        (b"\n\n[amqp\n", "line 3: "),
        (b"[amqp]\nexchange = canary\n", "line 2: "),
        (b"[log]\nlevel = \"info\"\nlevel = \"warn\"\n", "line 3: "),
    ] {
        let mistakes = refused_file(text);
        let expected = format!("--config (file settings): {problem}");
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(&expected), "{mistakes:?}");
        assert!(!mistakes[0].contains("canary") && mistakes[0].lines().count() == 1);
    }
    let nowhere = Some("/nowhere/at-all.toml".as_ref());
    let mistakes = printed(Settings::read(Sources::gather([], os(&with(&[])), nowhere)));
    assert_eq!(
        mistakes,
        ["--config (file /nowhere/at-all.toml): \
          cannot be read: No such file or directory (os error 2)"]
    );
}

#[test]
fn a_value_of_the_wrong_kind_in_the_file_is_a_mistake() {
    for (text, mistake) in [
        ("drain_timeout = 25", "drain_timeout (file settings): must be a duration such as"),
        ("[log.level]", "log.level (file settings): must be a value, not a table"),
        ("retry.attempts = 4.0", "retry.attempts (file settings): must be a whole number"),
        ("retry.ladder = [1, 2]", "retry.ladder (file settings): must be a list such as"),
        ("log.level = true", "log.level (file settings): must be one of"),
        ("events.\"url.unblock\".enabled = 1", "events.\"url.unblock\".enabled (file settings): "),
    ] {
        let mistakes = refused_file(text);
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(mistake), "{mistakes:?}");
    }
}
