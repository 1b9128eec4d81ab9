//! `send`: publishes events, after they were held to the contract.

use super::events_file::{self, EventsFileError, Properties};
use super::plan::Plan;
use super::terminal::{self, OutputError, say, tell};
use crate::broker::{Broker, BrokerError, Publisher};
use crate::event::{Envelope, EventType};
use crate::settings::Queues;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use uuid::Uuid;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// The events.
    pub events: Events,
    /// What is published beside the bodies of files.
    pub published: Properties,
    /// Nothing is sent, only said.
    pub dry_run: bool,
}

/// Where events come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Events {
    /// Files with events or with what `dlq export` wrote; `-` is standard input.
    Files(Vec<PathBuf>),
    /// The command line.
    New(NewEvent),
}

/// An event that is made of flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Its type.
    pub event_type: EventType,
    /// Its id; a random one if none is given.
    pub id: Option<String>,
    /// Who says so.
    pub source: String,
    /// What it asks for, by the names of the fields.
    pub data: Vec<(&'static str, Value)>,
}

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Every event is in a queue.
    All,
    /// One of them would not be carried out, so that none was sent.
    None,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] EventsFileError),
    /// The broker did not take an event, or cannot be reached.
    #[error("{sent} of {all} events were sent: {cause}")]
    Broker {
        /// So many are in a queue.
        sent: usize,
        /// So many there were.
        all: usize,
        /// What the broker says.
        cause: BrokerError,
    },
    /// What was done cannot be told.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Publishes the events, at `now`; `fresh_id` is for one that has none. All are looked at before the first
/// is sent.
///
/// # Errors
///
/// [`SendError`].
pub async fn run(
    send: &Send,
    settings: &Queues,
    now: DateTime<Utc>,
    fresh_id: Uuid,
) -> Result<Sent, SendError> {
    let amqp = &settings.amqp;
    // The broker checks it, and the policy of the daemon may ask for it. Who comes with a certificate does
    // not know by what name.
    let user_id = match amqp.client_certificate {
        Some(_) => None,
        None => Some(amqp.address.username.clone()),
    };
    let published = Properties { user_id, ..send.published.clone() };
    let mut envelopes = Vec::new();
    match &send.events {
        Events::New(event) => envelopes.push(published.envelope(event.body(now, fresh_id))),
        Events::Files(files) => {
            for file in files {
                envelopes.extend(events_file::messages(file, &published)?);
            }
        }
    }
    let mut good = Vec::new();
    for (number, envelope) in (1..).zip(&envelopes) {
        let plan = Plan::of(envelope, &settings.contract, now);
        match plan.event_type().filter(|_| plan.is_carried_out()) {
            Some(event_type) => good.push((envelope, event_type, plan)),
            None => tell(&format!("{number}: {plan}")),
        }
    }
    if good.len() < envelopes.len() {
        tell("nothing was sent: see above");
        return Ok(Sent::None);
    }
    if send.dry_run {
        for (_, _, plan) in &good {
            say(&plan.to_string())?;
        }
        return Ok(Sent::All);
    }
    publish(&good, settings).await
}

async fn publish(
    events: &[(&Envelope, EventType, Plan)],
    settings: &Queues,
) -> Result<Sent, SendError> {
    let (all, mut sent) = (events.len(), 0);
    let failed = |sent| move |cause| SendError::Broker { sent, all, cause };
    let broker = Broker::connect_for_people(&settings.amqp).await.map_err(failed(0))?;
    let publisher = Publisher::open(&broker).await.map_err(failed(0))?;
    let progress = terminal::progress(all as u64);
    let mut printed = Ok(());
    for (envelope, event_type, plan) in events {
        // By the name that the queue of its lane is bound by, unless its own is known too.
        let key = &envelope.routing_key;
        let by_key = settings.contract.reading.names.by_binding(key, Some(*event_type));
        let key = if by_key == Some(*event_type) { key } else { event_type.name() };
        publisher.send(&settings.amqp.exchange, key, envelope).await.map_err(failed(sent))?;
        sent += 1;
        progress.inc(1);
        // All are sent or none: an output that cannot be written stops nothing.
        let line = format!("{} {}", event_type.name(), plan.named());
        printed = printed.and(progress.suspend(|| say(&line)));
    }
    progress.finish_and_clear();
    broker.close().await;
    tell(&if sent == 1 {
        "1 event is in its queue".into()
    } else {
        format!("{sent} events are in their queues")
    });
    printed?;
    Ok(Sent::All)
}

impl NewEvent {
    fn body(&self, now: DateTime<Utc>, fresh_id: Uuid) -> Vec<u8> {
        let id = self.id.clone().unwrap_or_else(|| fresh_id.to_string());
        let data = self.data.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let event = json!({
            "specversion": "1.0", "id": id, "source": self.source, "type": self.event_type.name(),
            "time": now.to_rfc3339_opts(SecondsFormat::Millis, true),
            "data": data.collect::<Map<_, _>>(),
        });
        event.to_string().into_bytes()
    }
}
