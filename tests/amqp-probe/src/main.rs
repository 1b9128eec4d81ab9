//! Publishes to the broker at `AMQP_URL` and looks into its queues, for scripts: it works with any
//! broker, also one without a management API.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
    ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::{Value, json};

type Done = Result<(), Box<dyn Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = command().get_matches();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where stderr is closed too, the exit code must do.
            let _ = writeln!(io::stderr(), "amqp-probe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Command {
    let subcommand = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let queue = || Arg::new("queue").required(true);
    let names = || Arg::new("name").required(true).num_args(1..);
    Command::new("amqp-probe")
        .about("Publishes to the broker at AMQP_URL and looks into its queues")
        .subcommand_required(true)
        .subcommand(subcommand("ping", "Connects, and no more"))
        .subcommand(
            subcommand("publish", "Publishes standard input; done when it is safe in a queue")
                .arg(Arg::new("exchange").required(true))
                .arg(Arg::new("routing-key").required(true))
                .args(["type", "content-type", "message-id"].map(property)),
        )
        .subcommand(subcommand("drain", "Takes every message, each a line of JSON").arg(queue()))
        .subcommand(subcommand("depth", "Prints how many messages wait").arg(queue()))
        .subcommand(subcommand("delete-queue", "Deletes queues, if they are there").arg(names()))
        .subcommand(
            subcommand("delete-exchange", "Deletes exchanges, if they are there").arg(names()),
        )
}

fn property(name: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("TEXT").help("Property of the message")
}

async fn run(arguments: &ArgMatches) -> Done {
    let url = std::env::var("AMQP_URL").map_err(|_| "AMQP_URL is not set")?;
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let (name, arguments) = arguments.subcommand().expect("clap insists on a subcommand");
    let text = |name: &str| arguments.get_one::<String>(name).map_or("", String::as_str);
    let texts = |name: &str| arguments.get_many::<String>(name).into_iter().flatten();
    match name {
        "publish" => publish(&channel, arguments).await?,
        "drain" => drain(&channel, text("queue")).await?,
        "depth" => {
            let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let queue =
                channel.queue_declare(text("queue").into(), passive, FieldTable::default()).await?;
            writeln!(io::stdout(), "{}", queue.message_count())?;
        }
        "delete-queue" => {
            for name in texts("name") {
                channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await?;
            }
        }
        "delete-exchange" => {
            for name in texts("name") {
                let options = ExchangeDeleteOptions::default();
                channel.exchange_delete(name.as_str().into(), options).await?;
            }
        }
        // To ping is to connect.
        _ => {}
    }
    Ok(connection.close(200, "done".into()).await?)
}

async fn publish(channel: &Channel, arguments: &ArgMatches) -> Done {
    let text = |name: &str| arguments.get_one::<String>(name).map(String::as_str);
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body)?;
    let mut properties = BasicProperties::default().with_delivery_mode(2);
    if let Some(kind) = text("type") {
        properties = properties.with_type(kind.into());
    }
    if let Some(content_type) = text("content-type") {
        properties = properties.with_content_type(content_type.into());
    }
    if let Some(id) = text("message-id") {
        properties = properties.with_message_id(id.into());
    }
    let exchange = text("exchange").unwrap_or_default().into();
    let routing_key = text("routing-key").unwrap_or_default().into();
    let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let publishing =
        channel.basic_publish(exchange, routing_key, mandatory, &body, properties).await?;
    let confirmation = publishing.await?;
    if confirmation.is_nack() {
        return Err("a queue refused the message".into());
    }
    match confirmation.take_message() {
        Some(_returned) => Err("no queue is bound for the message".into()),
        None => Ok(()),
    }
}

async fn drain(channel: &Channel, queue: &str) -> Done {
    let mut stdout = io::stdout().lock();
    while let Some(message) = channel.basic_get(queue.into(), BasicGetOptions::default()).await? {
        writeln!(stdout, "{}", shown(&message))?;
        message.acker.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

fn shown(message: &BasicGetMessage) -> Value {
    let properties = &message.properties;
    json!({
        "exchange": message.exchange.as_str(),
        "routing_key": message.routing_key.as_str(),
        "redelivered": message.redelivered,
        "headers": properties.headers().as_ref().map(table),
        "properties": {
            "content_type": properties.content_type(),
            "message_id": properties.message_id(),
            "type": properties.kind(),
        },
        "body": String::from_utf8_lossy(&message.data),
    })
}

fn table(table: &FieldTable) -> Value {
    table.inner().iter().map(|(name, value)| (name.to_string(), plain(value))).collect()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the others are shown as they are")]
fn plain(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::LongString(text) => json!(text.to_string()),
        AMQPValue::LongLongInt(number) => json!(number),
        AMQPValue::LongInt(number) => json!(number),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(plain).collect(),
        AMQPValue::FieldTable(inner) => table(inner),
        other => json!(format!("{other:?}")),
    }
}
