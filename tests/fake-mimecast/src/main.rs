//! Runs the fake as a program of its own, for scripts.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, value_parser};
use fake_mimecast::{Credentials, FakeMimecast};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let flags = command().get_matches();
    match run(&flags).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where stderr is closed too, the exit code must do.
            let _ = writeln!(io::stderr(), "fake-mimecast: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: &ArgMatches) -> io::Result<()> {
    // Before the line that says the fake is ready: whoever reads it may stop the fake at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let address = |name| *flags.get_one::<SocketAddr>(name).expect("the flag has a default");
    let fake = FakeMimecast::start_on_both(
        address("listen"),
        address("listen-oauth2"),
        credentials(flags),
    )
    .await?;
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {}", fake.base_url())?;
    writeln!(stdout, "listening for API 2.0 on {}", fake.oauth2_url())?;
    stdout.flush()?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    fake.stop().await;
    Ok(())
}

fn command() -> Command {
    Command::new("fake-mimecast")
        .about("Serves a fake of the Mimecast API until SIGTERM; control it under /_fake/")
        .arg(address("listen", "Where to listen for API 1.0; port 0 takes a free one"))
        .arg(address("listen-oauth2", "Where to listen for API 2.0; port 0 takes a free one"))
        .arg(key("access-key", "API 1.0 access key"))
        .arg(key("secret-key", "API 1.0 secret key, as base64"))
        .arg(key("app-id", "API 1.0 application id"))
        .arg(key("app-key", "API 1.0 application key"))
        .arg(key("client-id", "API 2.0 client id"))
        .arg(key("client-secret", "API 2.0 client secret"))
}

fn address(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("ADDRESS")
        .default_value("127.0.0.1:0")
        .value_parser(value_parser!(SocketAddr))
        .help(help)
}

fn key(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("TEXT").help(help)
}

fn credentials(flags: &ArgMatches) -> Credentials {
    let defaults = Credentials::default();
    let text = |name, default| flags.get_one::<String>(name).cloned().unwrap_or(default);
    Credentials {
        access_key: text("access-key", defaults.access_key),
        secret_key: text("secret-key", defaults.secret_key),
        app_id: text("app-id", defaults.app_id),
        app_key: text("app-key", defaults.app_key),
        client_id: text("client-id", defaults.client_id),
        client_secret: text("client-secret", defaults.client_secret),
    }
}
