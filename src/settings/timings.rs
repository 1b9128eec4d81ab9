//! The waits and limits that nobody can set. The defaults are what users get; a test may start the daemon with
//! shorter ones.

use std::time::Duration;

/// The waits and limits that are no settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// Maximum time until RabbitMQ has accepted a connection, TLS and login included. Of several addresses, each has a
    /// third of it.
    pub connect: Duration,
    /// Maximum time until everything is declared and the lane consumes.
    pub open: Duration,
    /// Maximum time until RabbitMQ has confirmed a copy. RabbitMQ is short of memory or disk after that, or gone.
    pub confirm: Duration,
    /// Maximum time to close a connection, of which the other end may be gone.
    pub close: Duration,
    /// Maximum time for a question to RabbitMQ that changes nothing: permissions, and the depth of a queue. A queue
    /// without a leader is silent, and so is a node that is short of memory.
    pub inspect: Duration,
    /// Maximum time to send an outcome to the queue in `reply_to`.
    pub reply: Duration,
    /// The interval at which the dead-letter queue is asked whether it has done what it was told last.
    pub poll: Duration,
    /// A queue that has messages and hands out none for so long has given them to another consumer.
    pub quiet: Duration,
    /// The first wait between two sessions of a lane, at most.
    pub first_reconnect: Duration,
    /// The longest wait between two sessions of a lane.
    pub last_reconnect: Duration,
    /// After this time in flight a message is taken not to end its session, so that the lane takes more.
    pub slow_start: Duration,
    /// The interval at which the depths of the queues are read.
    pub queue_depths: Duration,
    /// The interval at which a queue is read whose depth RabbitMQ has refused to give: each refusal costs a channel.
    pub refused_look: Duration,
    /// Nothing begins for a message that was delivered this long ago. With its last attempt it is settled within 25
    /// minutes: RabbitMQ closes the channel after 30 ("Delivery Acknowledgement Timeout").
    pub held: Duration,
    /// Nothing begins for a message that has been in flight this long without a break.
    pub work: Duration,
    /// Maximum time of a pause that waits for a change while health calls are answered. Then each message takes one
    /// retry delay.
    pub unchanged: Duration,
    /// Maximum time to close connections and files after `drain_timeout`.
    pub shutdown: Duration,
    /// The interval at which systemd is sent the state of the lanes, where it asks for no watchdog.
    pub service_status: Duration,
    /// The interval at which the files of the settings are compared with what was read. A file is read once it is the
    /// same at two of them.
    pub settings_files: Duration,
    /// Maximum time for a request on the control socket.
    pub control_request: Duration,
    /// Maximum time that `pause` and `resume` wait for the daemon.
    pub control_reply: Duration,
    /// Maximum time that `healthcheck` and `status` wait for the daemon.
    pub healthcheck: Duration,
    /// The interval at which the last hash of the audit trail is logged.
    pub audit_head: Duration,
    /// Maximum time until a line of the audit trail is written: a disk in a network can be silent for good.
    pub audit_line: Duration,
    /// Maximum time that a command waits for another one which writes to the same audit trail.
    pub audit_lock: Duration,
    /// The wait after a 429 that names none: the window that Mimecast's replies were recorded with.
    pub throttle: Duration,
    /// The longest wait for the quota. After it the API is called again, whatever the header said.
    pub longest_throttle: Duration,
    /// Two replies about one quota window may differ by this much in its end.
    pub quota_window: Duration,
    /// Where operations may share a quota, offboardings have it for themselves this long after it opens; and who waits
    /// for a quota comes no later than that.
    pub quota_lead: Duration,
    /// A token is renewed when so much of its life is left, or a fifth of it if that is less.
    pub token_margin: Duration,
    /// The life of a token whose reply does not name it.
    pub token_life: Duration,
    /// The longest life of a token, whatever its reply names.
    pub longest_token_life: Duration,
    /// The wait before the same new token is used again that Mimecast refused, beside as long as it is old.
    pub token_wait: Duration,
    /// A token that is not accepted after this time is replaced.
    pub token_young: Duration,
    /// The shortest time between two new tokens.
    pub token_interval: Duration,
    /// How long a page size is remembered that Mimecast accepted after it had refused a larger one.
    pub page_size: Duration,
    /// Maximum time for each question of `check` to Mimecast.
    pub check: Duration,
    /// Maximum time for all questions of `plan --look-up`.
    pub look_up: Duration,
}

impl Default for Timings {
    fn default() -> Timings {
        Timings {
            connect: Duration::from_secs(30),
            open: Duration::from_secs(30),
            confirm: Duration::from_secs(30),
            close: Duration::from_secs(5),
            inspect: Duration::from_secs(5),
            reply: Duration::from_secs(5),
            poll: Duration::from_millis(2),
            quiet: Duration::from_secs(2),
            first_reconnect: Duration::from_millis(500),
            last_reconnect: Duration::from_secs(5),
            slow_start: Duration::from_secs(5),
            queue_depths: Duration::from_secs(10),
            refused_look: Duration::from_mins(1),
            held: Duration::from_mins(20),
            work: Duration::from_mins(10),
            unchanged: Duration::from_mins(10),
            shutdown: Duration::from_secs(5),
            service_status: Duration::from_secs(10),
            settings_files: Duration::from_secs(1),
            control_request: Duration::from_secs(5),
            control_reply: Duration::from_secs(10),
            healthcheck: Duration::from_secs(3),
            audit_head: Duration::from_mins(1),
            audit_line: Duration::from_secs(30),
            audit_lock: Duration::from_secs(5),
            throttle: Duration::from_secs(5),
            longest_throttle: Duration::from_mins(5),
            quota_window: Duration::from_millis(250),
            quota_lead: Duration::from_secs(1),
            token_margin: Duration::from_mins(1),
            token_life: Duration::from_mins(5),
            longest_token_life: Duration::from_hours(24),
            token_wait: Duration::from_secs(1),
            token_young: Duration::from_secs(10),
            token_interval: Duration::from_secs(5),
            page_size: Duration::from_mins(10),
            check: Duration::from_secs(30),
            look_up: Duration::from_mins(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_get_exactly_these_waits_and_limits() {
        let shown = format!("{:?}", Timings::default());
        let expected = "connect: 30s, open: 30s, confirm: 30s, close: 5s, inspect: 5s, reply: 5s, poll: 2ms, quiet: 2s, \
            first_reconnect: 500ms, last_reconnect: 5s, slow_start: 5s, queue_depths: 10s, refused_look: 60s, held: 1200s, \
            work: 600s, unchanged: 600s, shutdown: 5s, service_status: 10s, settings_files: 1s, control_request: 5s, \
            control_reply: 10s, healthcheck: 3s, audit_head: 60s, audit_line: 30s, audit_lock: 5s, throttle: 5s, \
            longest_throttle: 300s, quota_window: 250ms, quota_lead: 1s, token_margin: 60s, token_life: 300s, \
            longest_token_life: 86400s, token_wait: 1s, token_young: 10s, token_interval: 5s, page_size: 600s, \
            check: 30s, look_up: 120s";
        assert_eq!(shown, format!("Timings {{ {expected} }}"));
    }
}
