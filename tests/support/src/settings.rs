//! The daemon's settings as environment variables, as tests start from them.

use super::node::folder_of_this_run;
use fake_mimecast::FakeMimecast;
use mimecast_eventd::settings::{Mistake, Settings, Sources};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Variables by name. Waits are short, so that tests are.
pub type Variables = BTreeMap<String, String>;

/// API 1.0, with the keys that `fake` accepts.
pub fn hmac(fake: &FakeMimecast) -> Variables {
    let mut variables = hmac_without_url();
    variables.extend(common(&fake.base_url()));
    variables
}

/// API 2.0, with the client that `fake` accepts.
pub fn oauth2(fake: &FakeMimecast) -> Variables {
    let mut variables = oauth2_without_url();
    variables.extend(common(&fake.oauth2_url()));
    variables
}

/// API 1.0, of which only the place is missing.
pub fn hmac_without_url() -> Variables {
    let keys = fake_mimecast::Credentials::default();
    Variables::from([
        named("MIMECAST__AUTH", "hmac"),
        named("MIMECAST__ACCESS_KEY", &keys.access_key),
        named("MIMECAST__SECRET_KEY", &keys.secret_key),
        named("MIMECAST__APP_ID", &keys.app_id),
        named("MIMECAST__APP_KEY", &keys.app_key),
    ])
}

/// API 2.0, of which only the place is missing.
pub fn oauth2_without_url() -> Variables {
    let keys = fake_mimecast::Credentials::default();
    Variables::from([
        named("MIMECAST__AUTH", "oauth2"),
        named("MIMECAST__CLIENT_ID", &keys.client_id),
        named("MIMECAST__CLIENT_SECRET", &keys.client_secret),
    ])
}

/// The setting `name`, without the prefix that all have; `TIMINGS` is none, and has none.
pub fn named(name: &str, value: &str) -> (String, String) {
    let prefix = if name == "TIMINGS" { "" } else { "EVENTD_" };
    (format!("{prefix}{name}"), value.to_owned())
}

/// Reads settings from nothing but `variables`.
pub fn read(variables: &Variables) -> Result<Settings, Vec<Mistake>> {
    let environment =
        variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Settings::read(Sources::gather([], environment, None))
}

fn common(base_url: &str) -> Variables {
    Variables::from([
        ("XDG_RUNTIME_DIR".to_owned(), runtime_folder()),
        named("MIMECAST__BASE_URL", base_url),
        named("ADMIN__LISTEN", "127.0.0.1:0"),
        named("RETRY__INITIAL_DELAY", "1ms"),
        named("RETRY__MAX_DELAY", "5ms"),
        // A node has thousands of queues in a whole run: fewer of them keep it from falling silent.
        named("RETRY__LADDER", r#"["10s", "1m"]"#),
        named("BREAKER__INITIAL_PROBE_DELAY", "20ms"),
        named("BREAKER__MAX_PROBE_DELAY", "100ms"),
        named("LOG__LEVEL", "debug"),
    ])
}

/// A runtime folder of its own for each daemon, which makes it.
fn runtime_folder() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static OF_THIS_RUN: LazyLock<PathBuf> = LazyLock::new(|| folder_of_this_run("runtime"));
    let folder = OF_THIS_RUN.join(NEXT.fetch_add(1, Ordering::Relaxed).to_string());
    folder.to_str().expect("the path is text").to_owned()
}
