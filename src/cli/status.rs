//! `status`: asks the daemon on this machine whether it is working right now.

use super::healthcheck;
use super::terminal::{BAD, GOOD, OutputError, age, coloured, plain, say, table};
use crate::secrecy::steering::escaped;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// No daemon answers.
    #[error("no daemon answers at {listen} (admin.listen): {cause}")]
    Unreachable {
        /// The address.
        listen: SocketAddr,
        /// The error of the system.
        cause: io::Error,
    },
    /// The status cannot be printed.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Prints the status of the daemon that listens on `listen` and answers within `patience`; returns whether it is ready.
///
/// # Errors
///
/// [`StatusError`].
pub fn show(
    (listen, patience): (SocketAddr, Duration),
    as_json: bool,
    now: DateTime<Utc>,
) -> Result<bool, StatusError> {
    let unreachable = |cause| StatusError::Unreachable { listen, cause };
    let text = healthcheck::get(listen, "/status.json", patience).map_err(unreachable)?;
    let status: Value = serde_json::from_str(&text).map_err(|error| unreachable(error.into()))?;
    let ready = status["ready"] == true;
    if as_json {
        say(&escaped(text.trim_end()))?;
        return Ok(ready);
    }
    let said = if ready { coloured(GOOD, "ready") } else { coloured(BAD, "not ready") };
    say(&format!("mimecast-eventd {}: {said}", word(&status["version"])))?;
    if let Some(reason) = status["broker_blocked"].as_str() {
        say(&format!("the broker takes no messages: {}", plain(reason, 200)))?;
    }
    let audit = &status["audit"];
    if let Some(failure) = audit["failure"].as_str() {
        say(&format!("nothing is done, since it cannot be written down: {}", plain(failure, 200)))?;
    }
    if let Some(lines) = audit["lines"].as_u64() {
        say(&format!(
            "audit trail: {lines} lines, the seal of the last is {}",
            word(&audit["head"])
        ))?;
    }
    if status["settings_current"] == false {
        say("the settings that were read last are wrong; older ones are in force")?;
    }
    for lane in entries(&status["lanes"]) {
        let streak = lane["not_found_streak"].as_u64().unwrap_or_default();
        let seconds = lane["not_found_streak_seconds"].as_f64().unwrap_or_default();
        if streak >= 20 && seconds >= 86_400.0 {
            let event = word(&lane["event"]);
            say(&format!(
                "the last {streak} commands of {event} named what Mimecast does not know"
            ))?;
        }
    }
    for lane in entries(&status["lanes"]).filter(|lane| lane["state"] == "paused") {
        say(&paused(lane, now))?;
    }
    let lanes = entries(&status["lanes"]).map(|lane| {
        let hour: u64 = entries(&lane["throughput"]).filter_map(Value::as_u64).sum();
        let last =
            lane["last_success"].as_str().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        let last = last.map(|at| (now - at.to_utc()).to_std().unwrap_or_default());
        let lag = |name: &str| {
            lane[name].as_f64().map_or("-".into(), |seconds| format!("{seconds:.2} s"))
        };
        vec![
            word(&lane["event"]),
            word(&lane["state"]),
            word(&lane["in_flight"]),
            hour.to_string(),
            lag("event_to_effect_p50_seconds"),
            lag("event_to_effect_p95_seconds"),
            last.map_or("-".into(), |last| format!("{} ago", age(last))),
            plain(lane["why"].as_str().unwrap_or_default(), 100),
        ]
    });
    let header = ["LANE", "STATE", "IN WORK", "LAST HOUR", "P50", "P95", "LAST EFFECT", "WHY"];
    say("")?;
    say(&table(&header, lanes))?;
    section("QUEUE", &status["queues"], |it| vec![word(&it["queue"]), word(&it["messages"])])?;
    for (title, name) in [
        ("DEAD LETTERS", "dead_letters"),
        ("REQUESTS", "outcomes"),
        ("KEPT BACK BY", "policy_decisions"),
    ] {
        section(title, &status[name], |it| vec![word(&it["of"]), word(&it["count"])])?;
    }
    Ok(ready)
}

/// Since when a lane is paused, for which event first, when it asks next, and how many messages wait.
fn paused(lane: &Value, now: DateTime<Utc>) -> String {
    let time = |name: &str| {
        let time = lane[name].as_str().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        time.map(|at| at.to_utc())
    };
    let mut text = word(&lane["event"]);
    text += " paused";
    if let Some(since) = time("since") {
        text += &format!(" for {}", age((now - since).to_std().unwrap_or_default()));
    }
    if let Some(event) = lane["paused_for_event"].as_str() {
        text += &format!(", first for event {}", plain(event, 100));
    }
    for (name, next, under_way) in [
        ("next_health_call", "next health call", "a health call is under way"),
        ("next_message", "next message is tried", "a message is being tried"),
    ] {
        match time(name) {
            Some(at) if at > now => {
                text += &format!("; {next} in {}", age((at - now).to_std().unwrap_or_default()));
            }
            Some(_) => text += &format!("; {under_way}"),
            None => {}
        }
    }
    if let Some(waiting) = lane["waiting"].as_u64() {
        text += &format!("; {waiting} waiting");
    }
    text
}

fn section(
    title: &str,
    list: &Value,
    row: impl Fn(&Value) -> Vec<String>,
) -> Result<(), OutputError> {
    let rows: Vec<Vec<String>> = entries(list).map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    say("")?;
    say(&table(&[title, "COUNT"], rows))
}

fn entries(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text, 100),
        Value::Null => "?".into(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
