//! `check` and `healthcheck`, as an operator runs them.

use crate::support::DEADLINE;
use crate::support::broker::{DEAD_LETTERS, UNBLOCK, Vhost};
use crate::support::certificates::Authority;
use crate::support::daemon::Daemon;
use crate::support::node::Node;
use crate::support::program::run;
use crate::support::settings::{self, Variables, named};
use crate::support::world::World;
use fake_mimecast::{Credentials, FakeMimecast, Fault, FaultKind, Operation};
use lapin::ExchangeKind;
use lapin::options::ExchangeDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;

#[tokio::test]
async fn a_limit_of_commands_is_said_to_be_that_of_each_process() {
    let own = [("POLICY__MAX_COMMANDS", "100"), ("POLICY__WINDOW", "30m")];
    let world = World::with(&own).await;
    let (code, lines) = check(&world.variables, &[]).await;
    assert_eq!(code, Some(0), "{lines:?}");
    let expected = "ok       settings max_commands: each process applies at most 100 commands of a lane \
                    in 30m; N replicas N times as many";
    assert!(lines.iter().any(|line| line == expected), "{lines:?}");
}

#[tokio::test]
async fn all_is_well_beside_a_running_daemon_and_stays_as_it_is() {
    for credentials in [settings::hmac, settings::oauth2] {
        let world = World::new(credentials, &[]).await;
        world.fake.add_member("group-1", "ada@example.com");
        world.fake.add_url("entry-1");
        world.fake.limit(1000, std::time::Duration::from_secs(3600));
        let (code, lines) = check(&world.variables, &[]).await;
        assert_eq!(code, Some(0), "{lines:?}");
        let expected = [
            "ok       settings all: complete, for user.offboarded and url.unblock",
            "ok       files    all: no file is read",
            "ok       broker   node NODE: reachable, and it lets us in",
            "ok       broker   exchanges and queues: as they should be",
            "ok       broker   queue arguments: as they should be",
            "ok       broker   limit and overflow: as they should be",
            "ok       broker   policies: not seen without amqp.management_url; docs/policies.md names those that lose messages",
            "ok       broker   permissions: as they should be",
            "ok       broker   dead-letter route: leads to the dead-letter queue",
            "ok       vendor   remove_group_member: reachable, credentials accepted",
            "ok       vendor   find_groups: reachable, credentials accepted",
            "ok       vendor   get_group_members: reachable, credentials accepted",
            "ok       vendor   delete_managed_url: reachable, credentials accepted",
            "ok       vendor   get_all_managed_urls: reachable, credentials accepted",
            "ok       vendor   clock: agrees with the vendor's",
        ];
        let expected = expected.map(|line| line.replace("NODE", Node::shared().authority()));
        let (quota, lines) = lines.split_last().unwrap();
        assert_eq!(lines, expected);
        assert!(
            quota.starts_with("ok       vendor   quota: 9")
                && quota.ends_with(" calls left in this window")
        );
        assert!(
            world.fake.is_member("group-1", "ada@example.com") && world.fake.has_url("entry-1")
        );
        assert_eq!(world.fake.violations(), Vec::<String>::new());
        world.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
        world.vhost.wait_for_depth(UNBLOCK, 0).await;
    }
}

#[tokio::test]
async fn a_tenant_that_forbids_made_up_groups_is_asked_for_one_that_it_has() {
    let fake = FakeMimecast::start(Credentials::default()).await;
    let forbidden = FaultKind::fail("err_xdk_operation_forbidden_for_address");
    let made_up = Fault::always(forbidden).for_item_containing("mimecast-eventd-health-");
    fake.inject(made_up.for_operation(Operation::RemoveGroupMember));
    let vhost = Vhost::new().await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url)]);
    let start_of = |verdict: &str| format!("{verdict} vendor   remove_group_member: ");
    let has = |lines: &[String], start: String| lines.iter().any(|it| it.starts_with(&start));
    let (code, lines) = check(&variables, &[]).await;
    assert_eq!(code, Some(1), "{lines:?}");
    assert!(has(&lines, start_of("failure ")), "{lines:?}");
    fake.add_group("group-1");
    let (code, lines) = check(&variables, &[]).await;
    assert_eq!(code, Some(0), "{lines:?}");
    assert!(has(&lines, start_of("ok      ")), "{lines:?}");
}

#[tokio::test]
async fn a_group_of_the_settings_that_the_tenant_does_not_have_is_named() {
    let own = [
        ("EVENTS__USER_OFFBOARDED__DEFAULT_GROUPS", r#"["eNo-staff"]"#),
        ("POLICY__PROTECTED_GROUPS", r#"["Board"]"#),
    ];
    let world = World::with(&own).await;
    world.fake.name_group("eNo-staff", "Staff");
    world.fake.name_group("eNo-board", "Board");
    let groups = |lines: &[String]| {
        let of_groups = lines.iter().find(|line| line.contains("vendor   groups:"));
        of_groups.cloned().unwrap_or_else(|| panic!("no line of groups: {lines:?}"))
    };
    let (code, lines) = check(&world.variables, &[]).await;
    assert_eq!(code, Some(0), "{lines:?}");
    assert!(groups(&lines).starts_with("ok ") && groups(&lines).contains("name 2"), "{lines:?}");
    let mut variables = world.variables.clone();
    variables.extend([named("POLICY__ALLOWED_GROUPS", r#"["Staff", "Nobody has this"]"#)]);
    let (code, lines) = check(&variables, &[]).await;
    assert_eq!(code, Some(1), "{lines:?}");
    let told = groups(&lines);
    assert!(told.contains("1 of 4") && told.contains("Nobody has this"), "{told}");
    // As if the credentials were those of another tenant.
    world.fake.remove_group("eNo-staff");
    let (code, lines) = check(&world.variables, &[]).await;
    assert_eq!(code, Some(1), "{lines:?}");
    let told = groups(&lines);
    assert!(told.starts_with("failure ") && told.contains("1 of 2"), "{told}");
    assert!(told.contains("eNo-staff") && told.contains("right tenant"), "{told}");
}

#[tokio::test]
async fn offline_stops_after_the_settings() {
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", "amqp://127.0.0.1:1")]);
    let (code, lines) = check(&variables, &["--offline"]).await;
    assert_eq!((code, lines.len()), (Some(0), 2), "{lines:?}");
    assert!(fake.calls().is_empty());
    variables.insert("EVENTD_MIMECAST__AUTH".into(), "both".into());
    assert_eq!(check(&variables, &["--offline"]).await.0, Some(64));
}

#[tokio::test]
async fn a_setting_that_is_doubtful_is_a_warning_of_the_check_and_of_the_start() {
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables
        .extend([named("AMQP__URL", "amqp://127.0.0.1:1"), named("AMQP__PASSWORD", "canary ")]);
    let (code, lines) = check(&variables, &["--offline"]).await;
    assert_eq!(code, Some(0), "{lines:?}");
    let told = lines.iter().find(|it| it.contains("amqp.password")).unwrap();
    assert!(told.contains("begins or ends with white space") && !told.contains("canary"), "{told}");
    variables.extend([named("ADMIN__LISTEN", "127.0.0.1:0")]);
    let daemon = Daemon::start(&variables).await;
    daemon.wait_for_logged("doubtful setting", 1).await;
    assert_eq!(daemon.logged("doubtful setting")[0]["setting"], "amqp.password");
}

#[tokio::test]
async fn what_the_daemon_will_declare_is_a_warning_and_is_not_declared_by_the_check() {
    let vhost = Vhost::new().await;
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url)]);
    let (code, lines) = check(&variables, &[]).await;
    assert_eq!(code, Some(0), "{lines:?}");
    let warned = |line: &&String| {
        line.starts_with("warning  broker   exchanges and queues: ") && line.contains(UNBLOCK)
    };
    assert!(lines.iter().any(|line| warned(&line)), "{lines:?}");
    assert_eq!(vhost.depth(UNBLOCK).await, None);

    variables.extend([named("AMQP__TOPOLOGY", "verify")]);
    let (code, lines) = check(&variables, &[]).await;
    assert_eq!(code, Some(1), "{lines:?}");
    assert!(
        lines.iter().any(|line| line.starts_with("failure  broker   exchanges and queues: ")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn what_is_away_or_refuses_us_is_a_failure_and_the_rest_is_still_looked_at() {
    let world = World::hmac().await;
    world.fake.refuse_credentials(true);
    let mut variables = world.variables.clone();
    variables.extend([named("AMQP__URL", "amqp://canary:canary@127.0.0.1:1")]);
    let (code, lines) = check(&variables, &[]).await;
    assert_eq!(code, Some(1));
    let away = "failure  broker   node 127.0.0.1:1: cannot connect to the broker at 127.0.0.1:1";
    assert!(lines[2].starts_with(away), "{lines:?}");
    let refused = "failure  vendor   remove_group_member: err_xdk_invalid_signature";
    assert!(lines.iter().any(|line| line.starts_with(refused)), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("canary")), "{lines:?}");
}

#[tokio::test]
async fn a_clock_that_is_off_is_a_failure_that_says_by_how_much() {
    for ahead in [2 * 60, -5 * 60] {
        let fake = FakeMimecast::start(Credentials::default()).await;
        fake.set_clock_ahead(chrono::TimeDelta::seconds(ahead));
        let mut variables = settings::hmac(&fake);
        variables.extend([named("AMQP__URL", "amqp://127.0.0.1:1")]);
        let (code, lines) = check(&variables, &[]).await;
        assert_eq!(code, Some(1));
        let clock = lines.iter().find(|line| line.contains(" clock: ")).unwrap();
        assert!(
            clock.starts_with("failure  vendor   clock: differs from the vendor's by "),
            "{clock}"
        );
        let seconds = clock.split_whitespace().find_map(|word| word.parse::<i64>().ok()).unwrap();
        assert!((seconds - ahead).abs() < 30, "{clock}");
    }
}

#[tokio::test]
async fn an_operation_that_the_application_lacks_is_a_failure_of_that_operation_alone() {
    let fake = FakeMimecast::start(Credentials::default()).await;
    fake.products(&[Operation::RemoveGroupMember]);
    let mut variables = settings::oauth2(&fake);
    variables.extend([named("AMQP__URL", "amqp://127.0.0.1:1")]);
    let (code, lines) = check(&variables, &[]).await;
    assert_eq!(code, Some(1));
    let starts = |start: &str| lines.iter().any(|line| line.starts_with(start));
    assert!(starts("ok       vendor   remove_group_member: "), "{lines:?}");
    assert!(starts("failure  vendor   delete_managed_url: app_forbidden"), "{lines:?}");
    // What only some events need is a warning that says which.
    fake.inject(
        Fault::always(FaultKind::fail("app_forbidden")).for_operation(Operation::FindGroups),
    );
    let (_, lines) = check(&variables, &[]).await;
    let find = lines.iter().find(|line| line.contains("find_groups")).unwrap();
    assert!(find.starts_with("warning  vendor   find_groups: app_forbidden"), "{find}");
    assert!(
        find.ends_with("; it is needed for groups by name and for rules about groups"),
        "{find}"
    );
}

#[tokio::test]
async fn every_node_of_the_list_is_looked_at_and_one_that_is_away_is_a_warning() {
    let world = World::hmac().await;
    let mut variables = world.variables.clone();
    let away = world.vhost.url_by("127.0.0.1:1");
    variables.extend([named("AMQP__URL", &format!("{away},{}", world.vhost.url))]);
    let (code, lines) = check(&variables, &[]).await;
    assert_eq!(code, Some(0), "{lines:?}");
    let starts = |start: &str| lines.iter().any(|line| line.starts_with(start));
    assert!(starts("warning  broker   node 127.0.0.1:1: cannot connect"), "{lines:?}");
    assert!(
        starts(&format!("ok       broker   node {}: ", Node::shared().authority())),
        "{lines:?}"
    );
    assert!(starts("ok       broker   dead-letter route: "), "{lines:?}");
}

#[tokio::test]
async fn who_may_not_declare_is_told_to_verify_and_is_well_when_verifying() {
    let world = World::hmac().await;
    let mut variables = world.variables.clone();
    let url = world.vhost.url_of_user("", ".*", ".*").await;
    variables.extend([named("AMQP__URL", &url)]);
    let (code, lines) = check(&variables, &[]).await;
    assert_eq!(code, Some(1), "{lines:?}");
    let line = lines.iter().find(|line| line.starts_with("failure ")).unwrap();
    assert!(line.starts_with("failure  broker   permissions: this user may not declare"), "{line}");
    assert!(line.ends_with("; grant configure on it, or set amqp.topology to verify"), "{line}");
    variables.extend([named("AMQP__TOPOLOGY", "verify")]);
    let (code, lines) = check(&variables, &[]).await;
    assert_eq!(code, Some(0), "{lines:?}");
    let unseen = "queue arguments: this user may not declare, so that they cannot be seen";
    assert!(
        lines.iter().any(|line| line.starts_with(&format!("ok       broker   {unseen}"))),
        "{lines:?}"
    );
}

#[tokio::test]
async fn routing_keys_that_may_not_be_published_are_named_and_no_others() {
    let world = World::hmac().await;
    let mut variables = world.variables.clone();
    let url = world.vhost.url_of_user(".*", ".*", ".*").await;
    variables.extend([named("AMQP__URL", &url)]);
    for (keys, code, forbidden) in [
        ("^(user[.]offboarded|url[.]unblock)$", Some(0), &[][..]),
        ("^user[.]", Some(1), &["url.unblock"]),
        ("^mimecast-eventd[.]nowhere$", Some(1), &["url.unblock", "user.offboarded"]),
    ] {
        world.vhost.limit_keys(&url, DEAD_LETTERS, keys).await;
        let (ended, lines) = check(&variables, &[]).await;
        // RabbitMQ 4 looks at the key only once there is nothing else to refuse.
        let of_keys = lines.iter().filter(|line| line.contains("access to topic '"));
        let named: BTreeSet<&str> = of_keys
            .filter(|line| line.starts_with("failure  broker"))
            .filter_map(|line| line.split("access to topic '").nth(1)?.split('\'').next())
            .collect();
        assert_eq!((ended, named), (code, forbidden.iter().copied().collect()), "{lines:?}");
    }
}

#[tokio::test]
async fn an_exchange_that_the_daemon_cannot_declare_is_a_failure_with_a_way_out() {
    let vhost = Vhost::new().await;
    let channel = vhost.channel().await;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let mut alternate = FieldTable::default();
    alternate.insert("alternate-exchange".into(), AMQPValue::LongString("others".into()));
    for (name, kind, arguments) in [
        ("of-another-type", ExchangeKind::Fanout, FieldTable::default()),
        ("with-an-alternate", ExchangeKind::Topic, alternate),
    ] {
        channel.exchange_declare(name.into(), kind, durable, arguments).await.unwrap();
        let fake = FakeMimecast::start(Credentials::default()).await;
        let mut variables = settings::hmac(&fake);
        variables.extend([named("AMQP__URL", &vhost.url), named("AMQP__EXCHANGE", name)]);
        let (code, lines) = check(&variables, &[]).await;
        assert_eq!(code, Some(1), "{lines:?}");
        let told = lines.iter().find(|line| line.contains(name)).unwrap();
        let is_told = told.contains("failure  broker   queue arguments: PRECONDITION_FAILED")
            && told.contains("name another exchange, or set amqp.topology to verify")
            && !told.contains("delete it");
        assert!(is_told, "{told}");
    }
}

#[tokio::test]
async fn a_limit_of_queues_is_told_and_nobody_is_told_to_delete_one() {
    let vhost = Vhost::new().await;
    vhost.limit_queues(3).await;
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", &vhost.url)]);
    let daemon = Daemon::start(&variables).await;
    daemon.wait_for_logged("the session ended", 1).await;
    let ended = daemon.logged("the session ended");
    let why = ended[0]["error"].as_str().unwrap();
    assert!(why.contains("limit") && !why.contains("delete it"), "{why}");
}

#[tokio::test]
async fn a_program_is_told_the_same_and_a_colour_is_never_in_a_pipe() {
    let world = World::hmac().await;
    world.fake.refuse_credentials(true);
    let told = run(&world.variables, &["check", "--json"]).await;
    let shown = run(&world.variables, &["check"]).await;
    assert_eq!((told.code, shown.code), (Some(1), Some(1)));
    assert!(!shown.out.contains('\u{1b}'), "{shown:?}");
    let word = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    let verdicts: Vec<_> = shown.lines().into_iter().map(word).collect();
    assert_eq!(told.field("verdict"), verdicts);
    let refused =
        told.objects().into_iter().find(|it| it["subject"] == "remove_group_member").unwrap();
    assert_eq!((&refused["group"], &refused["verdict"]), (&"vendor".into(), &"failure".into()));
    assert!(
        refused["reason"].as_str().unwrap().starts_with("err_xdk_invalid_signature: "),
        "{refused}"
    );
    assert!(refused["hint"].as_str().unwrap().starts_with("set the keys that belong"), "{refused}");
    // On a terminal there is one, unless it is not wanted.
    let on_terminal = |no_color: &str| {
        let mut command = std::process::Command::new("script");
        let program = env!("CARGO_BIN_EXE_mimecast-eventd");
        command.args(["--quiet", "--command", &format!("{program} check --offline"), "/dev/null"]);
        command
            .env_clear()
            .envs(&world.variables)
            .env("TERM", "xterm")
            .env("PATH", "/usr/bin:/bin");
        if !no_color.is_empty() {
            command.env("NO_COLOR", no_color);
        }
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert!(on_terminal("").contains("\u{1b}[32mok "), "{}", on_terminal(""));
    assert!(!on_terminal("1").contains('\u{1b}'), "{}", on_terminal("1"));
}

#[tokio::test]
async fn a_file_that_anybody_may_read_is_told() {
    let world = World::hmac().await;
    let folder = tempfile::tempdir().unwrap();
    let mut variables = world.variables.clone();
    let key = variables.remove("EVENTD_MIMECAST__SECRET_KEY").unwrap();
    let path = folder.path().join("canary-name");
    std::fs::write(&path, key).unwrap();
    variables.extend([named("MIMECAST__SECRET_KEY_FILE", path.to_str().unwrap())]);
    for (mode, expected) in [
        (0o644, "warning  files    mimecast.secret_key: anybody"),
        (0o640, "ok       files    mimecast.secret_key: can be read"),
    ] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let (_, lines) = check(&variables, &["--offline"]).await;
        assert!(lines[1].starts_with(expected), "{lines:?}");
        assert!(lines.iter().all(|line| !line.contains("canary")), "{lines:?}");
    }
    let trail = folder.path().join("audit.jsonl");
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    variables.extend([named("AUDIT__KEY_FILE", &text(&path))]);
    for (file, expected) in [
        (text(&trail), "ok       files    audit.path: is not there yet"),
        (text(folder.path()), "failure  files    audit.path: cannot be written"),
        (
            "/nowhere/audit.jsonl".into(),
            "failure  files    audit.path: is in a folder that is not there",
        ),
    ] {
        variables.extend([named("AUDIT__PATH", &file)]);
        let (_, lines) = check(&variables, &["--offline"]).await;
        let found = lines.iter().any(|line| line.starts_with(expected));
        assert!(
            found && lines.iter().any(|line| line.contains("audit.key_file: can be read")),
            "{lines:?}"
        );
        assert!(!trail.exists(), "it changes nothing");
    }
    let (certificate, key) = Authority::new().write_client(folder.path(), "guest");
    variables.extend([
        named("AMQP__URL", "amqps://127.0.0.1:1"),
        named("AMQP__TLS__CERT_FILE", certificate.to_str().unwrap()),
        named("AMQP__TLS__KEY_FILE", key.to_str().unwrap()),
    ]);
    for file in [&certificate, &key] {
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o644)).unwrap();
    }
    let (_, lines) = check(&variables, &["--offline"]).await;
    // Of the two only the key is a secret.
    for expected in [
        "ok       files    amqp.tls.cert_file: can be read",
        "warning  files    amqp.tls.key_file: anybody",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{lines:?}");
    }
}

#[tokio::test]
async fn a_healthcheck_is_well_as_long_as_the_daemon_works() {
    let world = World::hmac().await;
    let admin = world.daemon.authority();
    let healthy = |admin: String| async move {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mimecast-eventd"));
        let command = command.args(["healthcheck", "--admin-listen", &admin]).env_clear();
        command.output().await.unwrap().status.code()
    };
    assert_eq!(healthy(admin.clone()).await, Some(0));
    let everywhere = admin.replace("127.0.0.1", "0.0.0.0");
    assert_eq!(healthy(everywhere).await, Some(0));
    drop(world);
    assert_eq!(healthy(admin).await, Some(1));

    // Without a broker the daemon is not ready, but it works.
    let fake = FakeMimecast::start(Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", "amqp://127.0.0.1:1")]);
    let daemon = Daemon::start(&variables).await;
    assert_eq!(daemon.get("/readyz").await.0, 503);
    assert_eq!(healthy(daemon.authority()).await, Some(0));
    // Somebody else at the address, who answers that nothing is well.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stranger = listener.local_addr().unwrap().to_string();
    let answering = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await.unwrap();
        // Whoever asked may close before it is read to its end.
        let _ended = stream.read_to_end(&mut Vec::new()).await;
    };
    assert_eq!(tokio::join!(healthy(stranger.clone()), answering).0, Some(1));
    // And one who says nothing at all: the connection is made, and that is all.
    let silent = tokio::time::timeout(DEADLINE, healthy(stranger)).await;
    assert_eq!(silent.expect("it does not wait for ever"), Some(1));
}

async fn check(variables: &Variables, arguments: &[&str]) -> (Option<i32>, Vec<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimecast-eventd"));
    let command = command.arg("check").args(arguments).env_clear().envs(variables);
    let output = command.output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text.lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn a_file_that_anybody_may_change_a_trail_that_anybody_may_read_and_a_pipe_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut variables = settings::hmac_without_url();
    let (file, trail, pipe) = (path("settings.toml"), path("audit.jsonl"), path("pipe"));
    let key = path("key");
    std::fs::write(&key, "a key of the auditor's\n").unwrap();
    std::fs::write(&file, "[mimecast]\nregion = \"eu\"\n").unwrap();
    std::fs::write(&trail, "").unwrap();
    for file in [&key, &trail] {
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    }
    variables.extend([
        named("CONFIG", file.to_str().unwrap()),
        named("AUDIT__PATH", trail.to_str().unwrap()),
        named("AUDIT__KEY_FILE", key.to_str().unwrap()),
    ]);
    let expect = async |variables: &Variables, (code, expected): (i32, &str)| {
        let (ended, lines) = check(variables, &["--offline"]).await;
        assert_eq!(ended, Some(code), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}: {lines:?}");
    };
    for (changed, mode, expected) in [
        (&file, 0o644, "ok       files    --config: can be read"),
        (&file, 0o646, "warning  files    --config: anybody on this machine can change it"),
        (&trail, 0o600, "ok       files    audit.path: can be written"),
        (&trail, 0o640, "ok       files    audit.path: can be written"),
        (&key, 0o640, "ok       files    audit.key_file: can be read"),
    ] {
        std::fs::set_permissions(changed, PermissionsExt::from_mode(mode)).unwrap();
        expect(&variables, (0, expected)).await;
    }
    std::fs::set_permissions(&trail, PermissionsExt::from_mode(0o644)).unwrap();
    let (_, lines) = check(&variables, &["--offline"]).await;
    let is_told = |line: &String| {
        line.starts_with("failure  files    audit.path: ")
            && line.contains("can be read or changed by anybody")
    };
    assert!(lines.iter().any(is_told), "{lines:?}");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    variables.extend([named("AUDIT__PATH", pipe.to_str().unwrap())]);
    let expected = "failure  files    audit.path: cannot be written: it is not a regular file";
    expect(&variables, (1, expected)).await;
    // What the start would not go on with is no trail that can be written.
    let folder = trail.parent().unwrap();
    let (other, by_hand) = (folder.join("other.jsonl"), folder.join("other-by-hand.jsonl"));
    let (one, another) = (folder.join("one"), folder.join("another"));
    std::os::unix::fs::symlink(&one, &another).unwrap();
    std::os::unix::fs::symlink(&another, &one).unwrap();
    let private = |path: &std::path::Path, text: &str, mode: u32| {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    private(&other, "of somebody else\n", 0o600);
    for (path, word) in [(&other, "other.jsonl"), (&one, "Too many levels of symbolic links")] {
        variables.extend([named("AUDIT__PATH", path.to_str().unwrap())]);
        let (ended, lines) = check(&variables, &["--offline"]).await;
        let is_told = |line: &String| line.starts_with("failure  files") && line.contains(word);
        assert!(ended == Some(1) && lines.iter().any(is_told), "{lines:?}");
    }
    private(&other, "", 0o600);
    private(&by_hand, "", 0o666);
    variables.extend([named("AUDIT__PATH", other.to_str().unwrap())]);
    let (ended, lines) = check(&variables, &["--offline"]).await;
    let is_told =
        |line: &String| line.starts_with("failure") && line.contains("other-by-hand.jsonl");
    assert!(ended == Some(1) && lines.iter().any(is_told), "{lines:?}");
}
