//! The dead-letter queue, looked into beside others.

use crate::support::broker::{DEAD_LETTERS, Vhost};
use crate::support::program::run;
use crate::support::settings::{self, named};
use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

#[tokio::test]
async fn a_list_says_whether_somebody_else_reads_the_queue() {
    let vhost = Vhost::new().await;
    let mut variables = settings::hmac_without_url();
    variables.extend([named("AMQP__URL", &vhost.url)]);
    let (channel, none) = (vhost.channel().await, FieldTable::default());
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(DEAD_LETTERS.into(), durable, none.clone()).await.unwrap();
    for is_read in [false, true] {
        let (queue, options) = (DEAD_LETTERS.into(), BasicConsumeOptions::default());
        let reading = channel.basic_consume(queue, "".into(), options, none.clone());
        // Whoever reads does so until this is dropped.
        let _reader = if is_read { Some(reading.await.unwrap()) } else { None };
        let listed = run(&variables, &["dlq", "list"]).await;
        assert_eq!(listed.code, Some(0), "{listed:?}");
        assert_eq!(listed.err.contains("somebody else reads the queue"), is_read, "{listed:?}");
    }
}
