//! What the service manager hears of the process.

use crate::support::broker::Vhost;
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::settings::{self, named};
use fake_mimecast::FakeMimecast;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::net::UnixDatagram;

/// All that was told, message by message.
type Heard = Arc<Mutex<Vec<String>>>;

/// A service manager in `folder`: what it hears, and the variable that says where it listens.
fn manager(folder: &Path) -> (Heard, (String, String)) {
    let path = folder.join("notify");
    let heard = listen(UnixDatagram::bind(&path).unwrap());
    (heard, ("NOTIFY_SOCKET".to_owned(), path.to_str().unwrap().to_owned()))
}

fn listen(socket: UnixDatagram) -> Heard {
    let heard = Heard::default();
    let told = Arc::clone(&heard);
    tokio::spawn(async move {
        let mut message = [0; 4096];
        while let Ok(length) = socket.recv(&mut message).await {
            let text = String::from_utf8_lossy(&message[..length]).trim_end().to_owned();
            told.lock().unwrap().push(text);
        }
    });
    heard
}

async fn until(heard: &Heard, what: &str, wanted: impl Fn(&[String]) -> bool) {
    eventually(what, async || wanted(&heard.lock().unwrap()).then_some(())).await;
}

#[tokio::test]
async fn a_service_manager_hears_of_start_life_reload_and_stop() {
    let (vhost, fake) = (Vhost::new().await, FakeMimecast::start(Default::default()).await);
    let folder = tempfile::tempdir().unwrap();
    let (heard, socket) = manager(folder.path());
    let mut variables = settings::hmac(&fake);
    variables.extend([
        named("AMQP__URL", &vhost.url),
        named("DRAIN_TIMEOUT", "7s"),
        socket,
        ("WATCHDOG_USEC".to_owned(), "100000".to_owned()),
    ]);
    let mut daemon = Daemon::start(&variables).await;

    let has = |line: &'static str| {
        move |heard: &[String]| heard.iter().any(|it| it.lines().any(|it| it == line))
    };
    until(&heard, "it has started", has("READY=1")).await;
    until(&heard, "the lanes are told of", |heard| {
        heard
            .iter()
            .any(|it| it.contains("STATUS=user.offboarded consuming; url.unblock consuming"))
    })
    .await;
    let signs = |heard: &[String]| heard.iter().filter(|it| it.contains("WATCHDOG=1")).count();
    let before = signs(&heard.lock().unwrap());
    until(&heard, "it goes on giving signs of life", |heard| signs(heard) >= before + 3).await;

    daemon.signal("HUP");
    until(&heard, "a reload begins and ends", |heard| {
        let reloading = heard.iter().position(|it| it.starts_with("RELOADING=1\nMONOTONIC_USEC="));
        reloading.is_some_and(|at| heard[at..].iter().any(|it| it == "READY=1"))
    })
    .await;

    daemon.signal("TERM");
    until(&heard, "it says how long the end may take", has("STOPPING=1")).await;
    until(&heard, "it says how long the end may take", has("EXTEND_TIMEOUT_USEC=12000000")).await;
    assert_eq!(daemon.ended().await, Some(0));
}

#[tokio::test]
async fn a_reload_ends_for_the_service_manager_whether_the_settings_are_right_or_wrong() {
    let fake = FakeMimecast::start(Default::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let (heard, socket) = manager(folder.path());
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "").unwrap();
    let mut variables = settings::hmac(&fake);
    variables.extend([
        named("AMQP__URL", "amqp://127.0.0.1:1"),
        named("CONFIG", file.to_str().unwrap()),
        socket,
    ]);
    let daemon = Daemon::start(&variables).await;
    let count = |heard: &[String], begin: &str| {
        heard.iter().filter(|it| it.lines().next() == Some(begin)).count()
    };
    until(&heard, "it has started", |heard| count(heard, "READY=1") == 1).await;
    let wrong = "[retry]\nattempts = 0\n";
    for (text, number) in [(wrong, 1), (wrong, 2), ("", 3), (wrong, 4), ("", 5)] {
        std::fs::write(&file, text).unwrap();
        daemon.signal("HUP");
        until(&heard, "a reload begins", |heard| count(heard, "RELOADING=1") == number).await;
        until(&heard, "and it ends", |heard| count(heard, "READY=1") == number + 1).await;
    }
    assert!(!daemon.logged("the settings were not reloaded, the old ones are in force").is_empty());
}

#[tokio::test]
async fn signs_of_life_come_twice_in_the_time_that_the_manager_waits_for_one() {
    let (vhost, fake) = (Vhost::new().await, FakeMimecast::start(Default::default()).await);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut variables = settings::hmac(&fake);
    variables.extend([
        named("AMQP__URL", &vhost.url),
        ("NOTIFY_SOCKET".to_owned(), path.to_str().unwrap().to_owned()),
        ("WATCHDOG_USEC".to_owned(), "800000".to_owned()),
    ]);
    let _daemon = Daemon::start(&variables).await;
    // Somebody has to read: a manager that does not would keep the daemon waiting.
    let mut message = [0; 4096];
    loop {
        let length = socket.recv(&mut message).await.unwrap();
        let text = String::from_utf8_lossy(&message[..length]);
        // From here on no lane changes, and nothing but the pace makes it give a sign.
        if text.matches(" consuming").count() == 2 {
            break;
        }
    }
    // A machine that is busy makes some of them late, but not all.
    let (mut on_time, mut last) = (0, None::<std::time::Instant>);
    for _ in 0..20 {
        let length = socket.recv(&mut message).await.unwrap();
        assert!(String::from_utf8_lossy(&message[..length]).contains("WATCHDOG=1"));
        let gap = last.replace(std::time::Instant::now()).map(|at| at.elapsed());
        on_time += usize::from(gap.is_some_and(|gap| gap.as_millis() < 600));
        if on_time == 3 {
            return;
        }
    }
    panic!("signs of life are late");
}

#[tokio::test]
async fn a_broker_that_is_away_does_not_keep_the_process_from_having_started() {
    let fake = FakeMimecast::start(Default::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let (heard, socket) = manager(folder.path());
    let mut variables = settings::hmac(&fake);
    variables.extend([named("AMQP__URL", "amqp://127.0.0.1:1"), socket]);
    let _daemon = Daemon::start(&variables).await;
    until(&heard, "it has started", |heard| heard.iter().any(|it| it == "READY=1")).await;
    until(&heard, "it says what is the matter", |heard| {
        heard.iter().any(|it| it.contains("STATUS=user.offboarded disconnected"))
    })
    .await;
}

#[tokio::test]
async fn what_the_lanes_do_is_told_when_it_changes() {
    let (vhost, fake) = (Vhost::new().await, FakeMimecast::start(Default::default()).await);
    let folder = tempfile::tempdir().unwrap();
    let (heard, socket) = manager(folder.path());
    let mut variables = settings::hmac(&fake);
    variables.extend([
        named("AMQP__URL", &vhost.url),
        socket,
        // An hour: long before the next sign of life is due.
        ("WATCHDOG_USEC".to_owned(), "3600000000".to_owned()),
    ]);
    let _daemon = Daemon::start(&variables).await;
    until(&heard, "the lanes are told of", |heard| {
        let last = heard.iter().rev().find(|it| it.contains("STATUS="));
        last.is_some_and(|it| {
            it.contains("STATUS=user.offboarded consuming; url.unblock consuming")
        })
    })
    .await;
}
