//! The tests of single faults: the steps of each, and the ledger after them.

use super::op::Op::{self, *};
use super::report::close;
use super::scene::Scene;

/// Makes a test of each row: with these settings, these steps happen and the ledger closes.
macro_rules! tests {
    ($(#[test] fn $name:ident() = $fault:literal, $settings:expr, [$($step:expr),* $(,)?];)*) => {
        $(#[tokio::test]
        async fn $name() {
            survive($fault, &$settings, &[$($step),*]).await;
        })*
    };
}

const DEFAULTS: [(&str, &str); 0] = [];
const SHORT_TIMEOUT: [(&str, &str); 1] = [("MIMECAST__TIMEOUT", "1s")];
/// The daemon does not notice a half-open link before it stops.
const LONG_HEARTBEAT: [(&str, &str); 2] = [("AMQP__HEARTBEAT", "10m"), ("DRAIN_TIMEOUT", "2s")];

tests! {
    #[test]
    fn an_api_that_is_down_loses_nothing() =
        "API answers 503", DEFAULTS, [
            Publish(10), ApiDown, Publish(20), Paused, Publish(10), Probes(10), ApiUp,
        ];

    #[test]
    fn an_api_that_refuses_the_credentials_loses_nothing() =
        "API refuses the credentials", DEFAULTS, [
            Publish(10), RefuseCredentials, Publish(30), Paused, Probes(10), ApiUp,
        ];

    #[test]
    fn an_api_that_hangs_loses_nothing() =
        "API hangs", SHORT_TIMEOUT, [
            ApiHangs, Publish(40), Paused, Probes(4), ApiUp,
        ];

    #[test]
    fn an_api_that_resets_connections_loses_nothing() =
        "API resets connections", DEFAULTS, [
            Publish(10), ApiResets, Publish(20), Paused, Publish(10), Probes(10), ApiUp,
        ];

    #[test]
    fn an_api_whose_replies_are_lost_is_asked_again() =
        "API replies are lost", DEFAULTS, [
            Publish(10), ApiDropsReplies, Publish(20), Paused, Publish(10), Probes(10), ApiUp,
        ];

    #[test]
    fn an_api_that_talks_garbage_loses_nothing() =
        "API talks garbage", DEFAULTS, [
            Publish(10), ApiTalksGarbage, Publish(20), Paused, Publish(10), Probes(10), ApiUp,
        ];

    #[test]
    fn an_api_that_is_out_of_quota_is_waited_for() =
        "API is out of quota", DEFAULTS, [
            ApiLimits, Publish(40),
        ];

    #[test]
    fn an_api_that_is_not_reachable_loses_nothing() =
        "API is not reachable", SHORT_TIMEOUT, [
            Publish(10), ApiRefuses, Publish(30), Paused, ApiUp,
        ];

    #[test]
    fn an_api_behind_a_half_open_link_loses_nothing() =
        "API link half-open", SHORT_TIMEOUT, [
            Publish(10), FreezeApi, Publish(30), Paused, ApiUp,
        ];

    #[test]
    fn replies_that_are_lost_on_the_way_are_asked_for_again() =
        "API link loses replies", SHORT_TIMEOUT, [
            Publish(10), LoseReplies, Publish(30), Paused, ApiUp,
        ];

    #[test]
    fn a_link_to_the_broker_that_is_half_open_loses_nothing() =
        "broker link half-open", DEFAULTS, [
            ApiSlow, Publish(20), Calls(2), FreezeBroker, Publish(20), Disconnected, ThawBroker,
        ];

    #[test]
    fn a_link_to_the_broker_that_is_slow_loses_nothing() =
        "broker link slow", DEFAULTS, [
            SlowBroker, Publish(40),
        ];

    #[test]
    fn a_broker_that_is_not_there_at_the_start_is_waited_for() =
        "broker not there at start", DEFAULTS, [
            StopDaemon, Publish(20), RefuseBroker, StartDaemon, Sessions(3), ThawBroker,
        ];

    #[test]
    fn a_lane_whose_queue_is_deleted_declares_it_again_and_goes_on() =
        "lane queue deleted", DEFAULTS, [
            DeleteLaneQueue, Sessions(1), Ready, Publish(40),
        ];

    #[test]
    fn a_dead_letter_exchange_that_is_deleted_comes_back_and_no_dead_letter_is_lost() =
        "dead-letter exchange deleted", DEFAULTS, [
            Publish(20), DeleteDeadLetterExchange, PublishMalformed, Publish(19), Sessions(1),
        ];

    #[test]
    fn dead_letters_that_are_refused_keep_their_messages_until_they_are_taken_again() =
        "dead letters refused", DEFAULTS, [
            RefuseDeadLetters, Publish(40), Paused, AcceptDeadLetters,
        ];

    #[test]
    fn a_daemon_that_is_killed_in_mid_work_leaves_nothing_undone() =
        "daemon killed", DEFAULTS, [
            ApiSlow,
            Publish(20), Calls(2), KillDaemon, StartDaemon,
            Publish(20), Calls(2), KillDaemon, StartDaemon,
            Publish(20), Calls(2), KillDaemon, StartDaemon,
        ];

    #[test]
    fn a_daemon_that_is_stopped_in_mid_work_leaves_nothing_undone() =
        "daemon stopped", DEFAULTS, [
            ApiSlow,
            Publish(20), Calls(2), StopDaemon, StartDaemon,
            Publish(20), Calls(2), StopDaemon, StartDaemon,
            Publish(20), Calls(2), StopDaemon, StartDaemon,
        ];

    #[test]
    fn a_daemon_that_is_stopped_while_the_api_is_down_leaves_all_queued() =
        "daemon stopped, API down", DEFAULTS, [
            ApiDown, Publish(40), Paused, StopDaemon, ApiUp, StartDaemon,
        ];

    #[test]
    fn a_daemon_that_is_stopped_while_the_broker_is_away_leaves_all_queued() =
        "daemon stopped, broker away", DEFAULTS, [
            ApiSlow, Publish(40), Calls(2), RefuseBroker, Sessions(2), StopDaemon, ThawBroker,
            StartDaemon,
        ];

    #[test]
    fn a_daemon_that_is_stopped_over_a_half_open_link_leaves_all_queued() =
        "daemon stopped, link half-open", LONG_HEARTBEAT, [
            ApiSlow, Publish(40), Calls(2), FreezeBroker, StopDaemon, ThawBroker, StartDaemon,
        ];
}

/// Lets the steps happen one after another, and closes the ledger of the row of this fault.
async fn survive(fault: &str, settings: &[(&str, &str)], steps: &[Op]) {
    let mut scene = Scene::with(settings).await;
    for step in steps {
        step.happen(&mut scene, None).await;
    }
    close(scene, fault).await;
}
