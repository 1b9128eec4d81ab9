//! The files of the process: nobody else may read or exchange them, whatever the umask is, and files of others stay
//! as they are.

use crate::support::broker::{DEAD_LETTERS, Vhost};
use crate::support::daemon::{Daemon, bound_to_us};
use crate::support::eventually;
use crate::support::program::{Ran, run, run_by};
use crate::support::settings::{self, Variables, named};
use crate::support::world::World;
use fake_mimecast::FakeMimecast;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;
use tokio::net::UnixListener;

const BY_HAND: &str = r#"eventd_lane_paused_by_hand{event="url.unblock"}"#;

/// The permissions of a file or folder.
fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{path:?}: {error}")).mode() & 0o7777
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What starting the daemon comes to, where it does not start.
async fn start(variables: &Variables) -> Ran {
    let mut command = bound_to_us(env!("CARGO_BIN_EXE_mimecast-eventd"));
    let output = command.arg("run").env_clear().envs(variables).output().await.unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Whether the tests run as root: only root can become somebody else.
fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A copy of the binary for another user, who may not see the folder of the binary.
fn copy_program(folder: &Path) -> String {
    let program = folder.join("mimecast-eventd");
    // By another process: no program that a test beside this one starts can hold the copy open for writing.
    let copied = Command::new("cp")
        .args([env!("CARGO_BIN_EXE_mimecast-eventd"), text(&program)])
        .status()
        .unwrap();
    assert!(copied.success());
    text(&program).to_owned()
}

/// Settings for a daemon with a broker that is away.
async fn without_broker() -> (FakeMimecast, Variables) {
    let fake = FakeMimecast::start(fake_mimecast::Credentials::default()).await;
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", "amqp://127.0.0.1:1")]);
    (fake, variables)
}

/// Waits until the daemon answers: it has its trail and its socket then.
async fn wait_until_complete(daemon: &Daemon) {
    assert_eq!(daemon.get("/livez").await.0, 200);
}

#[tokio::test]
async fn whatever_the_umask_is_only_the_user_of_the_process_reads_its_files() {
    for umask in ["000", "022"] {
        let by_umask = ["sh", "-c", &format!(r#"umask {umask}; exec "$@""#), "sh"];
        let folder = tempfile::tempdir().unwrap();
        let trail = folder.path().join("audit.jsonl");
        let (_fake, mut variables) = without_broker().await;
        variables.extend([named("AUDIT__PATH", text(&trail))]);
        let daemon = Daemon::start_by(&by_umask, &variables).await;
        wait_until_complete(&daemon).await;
        assert_eq!(mode(&trail), 0o600, "umask {umask}");
        // The file after a rotation, too.
        fs::rename(&trail, folder.path().join("audit.jsonl.1")).unwrap();
        daemon.signal("HUP");
        daemon.wait_for_logged("the audit trail goes on in another file", 1).await;
        assert_eq!(mode(&trail), 0o600, "umask {umask}");
        // And the file of what people do by hand.
        let paused = run_by(&by_umask, &variables, &["pause"]).await;
        assert_eq!(paused.code, Some(0), "{paused:?}");
        assert_eq!(mode(&folder.path().join("audit-by-hand.jsonl")), 0o600, "umask {umask}");

        let runtime = Path::new(&variables["XDG_RUNTIME_DIR"]).join("mimecast-eventd");
        assert_eq!(mode(&runtime), 0o700, "umask {umask}");
        for name in ["control.sock", "control.sock.lock"] {
            assert_eq!(mode(&runtime.join(name)), 0o600, "{name}, umask {umask}");
        }
    }
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_as_it_is_where_the_socket_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("letter"), "a letter").unwrap();
    symlink(path("letter"), path("link")).unwrap();
    fs::create_dir(path("folder")).unwrap();
    let (_fake, variables) = without_broker().await;
    for name in ["letter", "link", "folder"] {
        let mut variables = variables.clone();
        variables.extend([named("CONTROL__SOCKET", text(&path(name)))]);
        let refused = start(&variables).await;
        assert_eq!(refused.code, Some(1), "{name}: {refused:?}");
        let said = format!("control.socket: cannot listen on {}", path(name).display());
        assert!(refused.err.contains(&said), "{refused:?}");
        assert!(refused.err.contains("there is a file that is no socket"), "{refused:?}");
    }
    assert_eq!(fs::read_to_string(path("letter")).unwrap(), "a letter");
    assert!(path("link").is_symlink() && path("folder").is_dir());
    // A socket that a killed process has left is replaced, and where a link beside it leads, nothing is cut short.
    drop(UnixListener::bind(path("left")).unwrap());
    symlink(path("letter"), path("left.lock")).unwrap();
    let mut variables = variables.clone();
    variables.extend([named("CONTROL__SOCKET", text(&path("left")))]);
    let daemon = Daemon::start(&variables).await;
    wait_until_complete(&daemon).await;
    assert_eq!(run(&variables, &["pause", "url.unblock"]).await.code, Some(0));
    daemon.wait_for_metric(BY_HAND, 1.0).await;
    assert_eq!(fs::read_to_string(path("letter")).unwrap(), "a letter");
}

#[tokio::test]
async fn another_user_is_refused_even_where_somebody_has_opened_the_socket_to_all() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let socket = folder.path().join("control.sock");
    let (_fake, mut variables) = without_broker().await;
    variables.extend([named("CONTROL__SOCKET", text(&socket))]);
    let daemon = Daemon::start(&variables).await;
    wait_until_complete(&daemon).await;
    fs::set_permissions(&socket, PermissionsExt::from_mode(0o666)).unwrap();
    let program = copy_program(folder.path());
    let becoming = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let mut pause = Command::new(becoming[0]);
    pause.args(&becoming[1..]).args([&program, "pause"]).env_clear().envs(&variables);
    let refused = pause.output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    daemon.wait_for_logged("another user connected to the control socket; refused", 1).await;
    assert_eq!(daemon.metric(BY_HAND).await, 0.0);
    assert_eq!(run(&variables, &["pause", "url.unblock"]).await.code, Some(0));
    daemon.wait_for_metric(BY_HAND, 1.0).await;
}

#[tokio::test]
async fn root_may_pause_the_daemon_of_another_user() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    chown(folder.path(), Some(65534), Some(65534)).unwrap();
    let program = copy_program(folder.path());
    let (_fake, mut variables) = without_broker().await;
    variables.extend([named("CONTROL__SOCKET", text(&folder.path().join("control.sock")))]);
    let becoming = "setpriv --reuid 65534 --regid 65534 --clear-groups --pdeathsig KILL";
    // What stands behind it, the binary in its own folder, is left out.
    let way = ["sh", "-c", &format!("exec {becoming} {program} run")];
    let daemon = Daemon::start_by(&way, &variables).await;
    wait_until_complete(&daemon).await;
    assert_eq!(run(&variables, &["pause", "url.unblock"]).await.code, Some(0));
    daemon.wait_for_metric(BY_HAND, 1.0).await;
}

#[tokio::test]
async fn a_trail_that_cannot_be_written_keeps_the_daemon_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("file"), "").unwrap();
    fs::create_dir(path("folder")).unwrap();
    symlink(path("missing/trail"), path("dangling")).unwrap();
    assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    let (_fake, variables) = without_broker().await;
    for (name, why) in [
        ("missing/audit.jsonl", "No such file"),
        ("file/audit.jsonl", "Not a directory"),
        ("folder", "Is a directory"),
        ("dangling", "No such file"),
        ("pipe", "it is not a regular file"),
    ] {
        let mut variables = variables.clone();
        variables.extend([named("AUDIT__PATH", text(&path(name)))]);
        let refused = start(&variables).await;
        assert_eq!(refused.code, Some(1), "{name}: {refused:?}");
        let said = format!("audit.path: {} cannot be written: {why}", path(name).display());
        assert!(refused.err.contains(&said), "{name}: {refused:?}");
    }
    // A link to a file is written where it leads.
    fs::set_permissions(path("file"), PermissionsExt::from_mode(0o600)).unwrap();
    symlink(path("file"), path("link")).unwrap();
    let mut variables = variables.clone();
    variables.extend([named("AUDIT__PATH", text(&path("link")))]);
    wait_until_complete(&Daemon::start(&variables).await).await;
    assert!(path("link").is_symlink());
    assert!(fs::read_to_string(path("file")).unwrap().contains("opened"));
}

#[tokio::test]
async fn nothing_is_done_by_hand_where_it_cannot_be_written_to_the_trail() {
    let folder = tempfile::tempdir().unwrap();
    let trail = folder.path().join("audit.jsonl");
    let world = World::with(&[("AUDIT__PATH", text(&trail))]).await;
    world.publish("url.unblock", r#"{"specversion":"1.0"}"#).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    world.daemon.settled(1).await;
    fs::create_dir(folder.path().join("audit-by-hand.jsonl")).unwrap();
    for arguments in [&["dlq", "discard", "--yes"][..], &["dlq", "replay"], &["pause"], &["resume"]]
    {
        let refused = run(&world.variables, arguments).await;
        assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{refused:?}");
        assert!(refused.err.contains("audit-by-hand.jsonl cannot be written"), "{refused:?}");
    }
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    assert_eq!(world.daemon.metric(BY_HAND).await, 0.0);
    world.daemon.wait_until_ready().await;
}

/// Runs a command that can write so many bytes to a file and no more, as on a full disk.
async fn run_with_room(bytes: usize, variables: &Variables, arguments: &[&str]) -> Ran {
    let room = format!(r#"trap "" XFSZ; exec prlimit --fsize={bytes}: "$@""#);
    run_by(&["sh", "-c", &room, "sh"], variables, arguments).await
}

#[tokio::test]
async fn a_letter_stays_until_its_line_is_in_the_trail() {
    let folder = tempfile::tempdir().unwrap();
    let (trail, by_hand) =
        (folder.path().join("audit.jsonl"), folder.path().join("audit-by-hand.jsonl"));
    let world = World::with(&[("AUDIT__PATH", text(&trail))]).await;
    world
        .vhost
        .channel()
        .await
        .queue_declare("aside".into(), Default::default(), Default::default())
        .await
        .unwrap();
    world.publish("url.unblock", r#"{"specversion":"1.0"}"#).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    world.daemon.settled(1).await;
    for (arguments, copies) in
        [(&["dlq", "discard", "--yes"][..], 0), (&["dlq", "replay", "--to", "aside"], 1)]
    {
        // Just so much room that the command can begin, and no more.
        let mut room = 0;
        let refused = loop {
            room += 100;
            let _not_there_at_first = fs::remove_file(&by_hand);
            let refused = run_with_room(room, &world.variables, arguments).await;
            assert_eq!(refused.code, Some(1), "{refused:?}");
            if fs::read_to_string(&by_hand).unwrap_or_default().contains(r#""kind":"began""#) {
                break refused;
            }
        };
        assert!(refused.err.contains("audit-by-hand.jsonl cannot be written"), "{refused:?}");
        world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
        // A copy is safe before that is written; the letter is in both places then.
        world.vhost.wait_for_depth("aside", copies).await;
    }
}

#[tokio::test]
async fn two_that_act_by_hand_at_once_write_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let (trail, by_hand) =
        (folder.path().join("audit.jsonl"), folder.path().join("audit-by-hand.jsonl"));
    let vhost = Vhost::new().await;
    let world = World::start(vhost, settings::hmac, &[("AUDIT__PATH", text(&trail))]).await;
    assert_eq!(run(&world.variables, &["resume"]).await.code, Some(0));
    // Somebody else is in the middle of a line.
    let file = fs::File::open(&by_hand).unwrap();
    file.lock().unwrap();
    let pausing = run(&world.variables, &["pause", "url.unblock"]);
    let letting = async {
        eventually("it waits for the file", async || has_open(&by_hand, 2).then_some(())).await;
        file.unlock().unwrap();
    };
    let (paused, ()) = tokio::join!(pausing, letting);
    assert_eq!(paused.code, Some(0), "{paused:?}");
    world.daemon.wait_for_metric(BY_HAND, 1.0).await;
    let verified = run(&world.variables, &["audit", "verify", text(&by_hand)]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
}

/// Whether so many processes have the file open.
fn has_open(path: &Path, processes: usize) -> bool {
    let folders = fs::read_dir("/proc").unwrap().filter_map(|it| Some(it.ok()?.path().join("fd")));
    let opened = folders.filter(|folder| {
        let files = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        files.filter_map(|it| fs::read_link(it.path()).ok()).any(|it| it == path)
    });
    opened.count() >= processes
}
