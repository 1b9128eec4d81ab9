//! `config`, `completions` and `man`.

use crate::support::program::run;
use crate::support::settings::{self, Variables, named};
use mimecast_eventd::settings::SETTINGS;

#[tokio::test]
async fn every_setting_is_shown_with_its_origin_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "[retry]\nattempts = 7\n").unwrap();
    let mut variables = settings::hmac_without_url();
    variables.extend([
        named("MIMECAST__REGION", "eu"),
        named("MIMECAST__SECRET_KEY", "Y2FuYXJ5"),
        named("AMQP__URL", "amqp://canary:canary@127.0.0.1:1"),
    ]);
    let path = file.to_str().unwrap();
    let arguments = ["config", "show", "--config", path, "--drain-timeout", "9s"];
    let shown = run(&variables, &arguments).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert_eq!(shown.lines().len(), SETTINGS.len() + 1);
    let line = |key: &str| {
        let line =
            shown.lines().into_iter().find(|line| line.starts_with(&format!("{key} "))).unwrap();
        line.split("  ")
            .filter(|cell| !cell.is_empty())
            .map(|cell| cell.trim().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(line("drain_timeout"), ["drain_timeout", "9s", "flag --drain-timeout"]);
    assert_eq!(line("retry.attempts"), ["retry.attempts", "7", &format!("file {path}")]);
    assert_eq!(
        line("mimecast.region"),
        ["mimecast.region", "eu", "variable EVENTD_MIMECAST__REGION"]
    );
    assert_eq!(line("amqp.exchange"), ["amqp.exchange", "events", "default"]);
    assert_eq!(line("policy.max_commands"), ["policy.max_commands", "-", "-"]);
    let secret = ["mimecast.secret_key", "[secret]", "variable EVENTD_MIMECAST__SECRET_KEY"];
    assert_eq!(line("mimecast.secret_key"), secret);
    let told = run(&variables, &[&arguments[..], &["--json"]].concat()).await;
    assert_eq!(told.objects().len(), SETTINGS.len());
    for said in [&shown, &told] {
        // Of the URL the user is shown.
        let out = said.out.replace("//canary:***@", "");
        assert!(!out.contains("canary") && !out.contains("Y2FuYXJ5"), "{said:?}");
    }
    // What is wrong is shown all the same, and then said.
    let wrong = run(&variables, &["config", "show", "--retry-attempts", "none"]).await;
    assert_eq!((wrong.code, wrong.lines().len()), (Some(64), SETTINGS.len() + 1), "{wrong:?}");
    assert!(
        wrong.err.contains("retry.attempts (flag --retry-attempts): must be a whole number"),
        "{wrong:?}"
    );
}

#[tokio::test]
async fn completions_and_pages_name_every_command() {
    let commands = ["run", "check", "send", "dlq", "pause", "resume", "plan", "codes", "config"];
    for shell in ["bash", "zsh", "fish"] {
        let completions = run(&Variables::new(), &["completions", shell]).await;
        assert_eq!(completions.code, Some(0), "{completions:?}");
        assert!(commands.iter().all(|command| completions.out.contains(command)), "{shell}");
        assert!(
            completions.out.contains("--older-than") || completions.out.contains("older-than"),
            "{shell}"
        );
    }
    // A shell reads them without a word.
    let bash = run(&Variables::new(), &["completions", "bash"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("completions");
    std::fs::write(&file, format!("{}\ncomplete -p mimecast-eventd\n", bash.out)).unwrap();
    let read = std::process::Command::new("bash").arg(file).output().unwrap();
    assert!(read.status.success() && read.stderr.is_empty(), "{read:?}");
    assert_eq!(run(&Variables::new(), &["completions", "tcsh"]).await.code, Some(64));

    let page = run(&Variables::new(), &["man"]).await;
    assert!(page.out.contains(".TH mimecast-eventd 1"), "{}", page.out);
    let folder = tempfile::tempdir().unwrap();
    let written = run(&Variables::new(), &["man", folder.path().to_str().unwrap()]).await;
    assert_eq!(written.code, Some(0), "{written:?}");
    for command in commands {
        assert!(folder.path().join(format!("mimecast-eventd-{command}.1")).exists(), "{command}");
    }
    let replay =
        std::fs::read_to_string(folder.path().join("mimecast-eventd-dlq-replay.1")).unwrap();
    assert!(replay.contains("at worst one is in both"), "{replay}");
    let nowhere = run(&Variables::new(), &["man", "/nowhere/at/all"]).await;
    assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
    let said = "man pages cannot be written into /nowhere/at/all: No such file";
    assert!(nowhere.err.contains(said), "{nowhere:?}");
}

#[tokio::test]
async fn the_help_of_a_command_begins_with_examples() {
    for command in
        [&["dlq", "replay"][..], &["send"], &["pause"], &["check"], &["plan"], &["dlq", "list"]]
    {
        let help = run(&Variables::new(), &[command, &["--help"]].concat()).await;
        assert!(
            help.code == Some(0) && help.out.starts_with("Examples:\n  mimecast-eventd "),
            "{}",
            help.out
        );
        // The short one leaves out the settings, or they would be most of it.
        let short = run(&Variables::new(), &[command, &["-h"]].concat()).await;
        assert!(!short.out.contains("--amqp-exchange") && help.out.contains("--amqp-exchange"));
        let words: Vec<&str> = help.out.split_whitespace().collect();
        assert!(words.join(" ").contains("Exit codes: 0"), "{}", help.out);
    }
}
