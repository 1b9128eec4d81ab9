//! The least that a consumer of these events can do: take a message, parse it, sign a request, send it,
//! ack. No retries, no dead letters, no metrics, no logs: it ends at the first thing that goes wrong.
//! What any daemon costs above this is the price of what it does more.

mod client;
mod event;
mod filling;
mod pace;
mod sign;

use clap::{Arg, ArgMatches, Command, value_parser};
use client::Client;
use event::Event;
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

type Failed = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = command().get_matches();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where stderr is closed too, the exit code must do.
            let _ = writeln!(io::stderr(), "floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Command {
    let queue = || Arg::new("queue").required(true);
    let number = |name: &'static str| Arg::new(name).long(name).value_parser(value_parser!(usize));
    Command::new("floor")
        .about("The least that a consumer can do, with the broker at AMQP_URL")
        .subcommand_required(true)
        .subcommand(
            Command::new("fill")
                .about("Publishes offboardings, persistent and confirmed")
                .arg(queue())
                .arg(number("messages").required(true))
                .arg(number("groups").default_value("1").help("Groups an event")),
        )
        .subcommand(
            Command::new("pace")
                .about(
                    "Publishes steadily, and tells the time from publish to ack as a relay sees it",
                )
                .arg(queue())
                .arg(number("messages").required(true))
                .arg(number("rate").required(true).help("Messages a second")),
        )
        .subcommand(
            Command::new("consume")
                .about("Carries out what is in the queue until it is stopped")
                .arg(queue())
                .arg(
                    Arg::new("api").long("api").required(true).help("Base URL of the vendor's API"),
                )
                .arg(
                    Arg::new("http").long("http").value_parser(["hyper", "reqwest"]).required(true),
                )
                .arg(number("prefetch").required(true)),
        )
}

async fn run(arguments: &ArgMatches) -> Result<(), Failed> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "a TLS provider is there already")?;
    let url = std::env::var("AMQP_URL").map_err(|_| "AMQP_URL is not set")?;
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let (name, arguments) = arguments.subcommand().expect("clap insists on a subcommand");
    match name {
        "fill" => filling::fill(&connection, arguments).await,
        "pace" => pace::pace(&connection, &url, arguments).await,
        "consume" => consume(&connection, arguments).await,
        name => unreachable!("clap knows no subcommand {name}"),
    }
}

async fn consume(connection: &Connection, arguments: &ArgMatches) -> Result<(), Failed> {
    let text = |name: &str| arguments.get_one::<String>(name).map_or("", String::as_str);
    let prefetch = *arguments.get_one::<usize>("prefetch").expect("clap insists on it");
    let client = Arc::new(Client::new(text("http"), text("api"))?);
    let channel = connection.create_channel().await?;
    channel.basic_qos(u16::try_from(prefetch)?, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut deliveries = channel
        .basic_consume(text("queue").into(), "".into(), options, FieldTable::default())
        .await?;
    // The prefetch bounds how many are in work.
    while let Some(delivery) = deliveries.next().await {
        let (delivery, client) = (delivery?, Arc::clone(&client));
        tokio::spawn(async move {
            if let Err(error) = carry(&client, &delivery).await {
                let _ = writeln!(io::stderr(), "floor: {error}");
                std::process::exit(1);
            }
        });
    }
    Err("the consumer ended".into())
}

async fn carry(client: &Client, delivery: &Delivery) -> Result<(), Failed> {
    let event = Event::parse(&delivery.data)?;
    for body in event.bodies() {
        client.post(body?).await?;
    }
    delivery.ack(BasicAckOptions::default()).await?;
    Ok(())
}
