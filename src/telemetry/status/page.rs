//! The status as a page for people: one document, which needs no script to be read.

use super::{Count, Lane, MINUTES, Recent, Status};
use crate::secrecy::steering;
use crate::verdict::CommandResult;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::time::Duration;

/// Colours by what the reader's system prefers, readable at 360 pixels; every table scrolls for itself.
const STYLE: &str = "
:root{color-scheme:light dark;--line:#8886}
*{box-sizing:border-box}a{color:inherit}
body{font:1rem/1.45 system-ui,sans-serif;margin:0 auto;max-width:70rem;padding:1rem}
h1{font-size:1.4rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:1.5rem 0 .5rem}h3{font-size:1rem;margin:0}
.lanes{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr))}
.lane{border:1px solid var(--line);border-radius:.5rem;padding:.75rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}
caption{text-align:left;font-weight:600;padding:.25rem 0}
th,td{border-bottom:1px solid var(--line);padding:.25rem .5rem .25rem 0;text-align:left;vertical-align:top}
td.number{text-align:right;font-variant-numeric:tabular-nums}
dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem .75rem;margin:.5rem 0}
dt{font-weight:600}dd{margin:0;overflow-wrap:anywhere}
svg{display:block;width:100%;height:2.5rem}.small{font-size:.85rem;margin:.5rem 0 0}
.bad{border-left:.4rem solid currentColor;padding-left:.5rem}
";

/// Takes the next version of the page without letting the reader see how; without it a reload does. The end
/// of `main` is nowhere else: whatever is in it is escaped.
const SCRIPT: &str = "
let last = '';
const next = async () => {
  try {
    const answer = await fetch(location.pathname, {cache: 'no-store'});
    const page = await answer.text(), shown = document.querySelector('main');
    const fresh = page.slice(page.indexOf('<main>') + 6, page.lastIndexOf('</main>'));
    if (fresh !== last) shown.innerHTML = last = fresh;
    document.querySelector('#away').hidden = true;
  } catch {
    document.querySelector('#away').hidden = false;
  }
  setTimeout(next, 5000);
};
setTimeout(next, 5000);
";

/// What a browser may do with the page: only what is in it, and ask for it again.
pub(in crate::telemetry) fn content_security_policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The page. `nonce` says which style and script are its own.
pub(in crate::telemetry) fn page(status: &Status, nonce: &str) -> String {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "mimecast-eventd: " (headline(status)) }
                style nonce=(nonce) { (PreEscaped(STYLE)) }
            }
            body {
                main { (content(status)) }
                p #away role="status" hidden { "The daemon does not answer; this is what it said last." }
                script nonce=(nonce) { (PreEscaped(SCRIPT)) }
            }
        }
    };
    steering::replaced(document.into_string())
}

fn headline(status: &Status) -> &'static str {
    if status.ready { "ready" } else { "not ready" }
}

fn content(status: &Status) -> Markup {
    html! {
        h1 { "mimecast-eventd: " (headline(status)) }
        p {
            "Version " (status.version) " (" (status.revision) "), at " (moment(status.at)) ". "
            a href="/status.json" { "The same as JSON" } ", " a href="/metrics" { "metrics" } "."
        }
        @if let Some(reason) = &status.broker_blocked {
            p.bad { "The broker takes no messages: " (reason) }
        }
        @if let Some(failure) = status.audit.as_ref().and_then(|audit| audit.failure.as_ref()) {
            p.bad { "Nothing is done, since it cannot be written down: " (failure) }
        }
        @if !status.settings_current {
            p.bad { "The settings that were read last are wrong; older ones are in force. The log says why." }
        }
        section aria-labelledby="lanes" {
            h2 #lanes { "Lanes" }
            div.lanes { @for lane in &status.lanes { (one(lane, status.at)) } }
        }
        section aria-labelledby="dead" {
            h2 #dead { "Dead letters since the start" }
            (counted("By event and reason", &status.dead_letters))
        }
        section aria-labelledby="vendor" {
            h2 #vendor { "The vendor" }
            p { "Calls waited for a quota: " (format!("{:.1}", status.throttled_seconds)) " s." }
            (counted("Calls left in the rate limit window, by operation", &status.quota_remaining))
            (counted("Requests by operation and outcome, since the start", &status.outcomes))
        }
        section aria-labelledby="policy" {
            h2 #policy { "Guard rails" }
            (counted("What rules of the policy kept back, since the start", &status.policy_decisions))
        }
        section aria-labelledby="recent" {
            h2 #recent { "The last messages" }
            (table("Settled last, the newest first",
                &["at", "event", "id", "about", "became", "result", "reason", "code", "attempts", "took"],
                status.recent.iter().map(settled)))
        }
        @if let Some(audit) = &status.audit {
            section aria-labelledby="audit" {
                h2 #audit { "Audit trail" }
                dl {
                    dt { "lines" } dd { (audit.lines) }
                    dt { "seal of the last" } dd { code { (audit.head) } }
                }
            }
        }
        section aria-labelledby="queues" {
            h2 #queues { "Queues" }
            (table("Messages ready in the daemon's own queues", &["queue", "for", "messages"],
                status.queues.iter().map(|queue| vec![
                    text(&queue.queue), text(&queue.purpose),
                    queue.messages.map_or(text("not known"), number),
                ])))
        }
    }
}

fn one(lane: &Lane, now: DateTime<Utc>) -> Markup {
    let settled: u32 = lane.throughput.iter().sum();
    html! {
        article.lane.bad[lane.state != "consuming"] aria-label=(lane.event) {
            h3 { (lane.event) ": " (lane.state) }
            @if !lane.why.is_empty() { p { (lane.why) } }
            @if let Some(event) = &lane.paused_for_event { p { "First for event " (event) "." } }
            @if lane.state == "paused" {
                dl {
                    dt { "paused" } dd { (ago(now - lane.since)) }
                    @for (what, at) in [("next health call", lane.next_health_call), ("next message tried", lane.next_message)] {
                        @if let Some(at) = at {
                            dt { (what) }
                            dd { @if at > now { "in " (duration((at - now).to_std().ok())) } @else { "now" } }
                        }
                    }
                    dt { "waiting" } dd { (lane.waiting.map_or("not known".to_owned(), |it| it.to_string())) }
                }
            }
            @if lane.names_unknown_things() {
                p.bad {
                    "The last " (lane.not_found_streak) " commands named what Mimecast does not know, and none was "
                    "applied: wrong attribute, wrong group, wrong tenant?"
                }
            }
            @if lane.slowed_down { p { "Slowed down to policy.max_commands." } }
            dl {
                dt { "in work" } dd { (lane.in_flight) }
                dt { "last effect" } dd { (lane.last_success.map_or("none yet".to_owned(), |at| ago(now - at))) }
                dt { "event to effect" }
                dd { "half within " (duration(lane.half)) ", 19 of 20 within " (duration(lane.most)) ", in the last hour" }
                dt { "settled" }
                dd {
                    @for count in &lane.settled { (count.of) " " (count.count) ", " }
                    (settled) " in the last hour"
                }
            }
            (plots(lane, settled))
        }
    }
}

/// How much and how late, minute by minute, and both in words.
fn plots(lane: &Lane, settled: u32) -> Markup {
    let counts: Vec<f64> = lane.throughput.iter().map(|count| f64::from(*count)).collect();
    let lags: Vec<f64> =
        lane.lags.iter().map(|lag| lag.map_or(0.0, |it| it.as_secs_f64())).collect();
    let most = lane.throughput.iter().copied().max().unwrap_or_default();
    let latest = lane.lags.iter().flatten().max().copied();
    let noun = if settled == 1 { "message" } else { "messages" };
    let much = format!("{settled} {noun} settled in the last hour, at most {most} in a minute");
    let late = format!("event to effect: 19 of 20 within {} in the worst minute", duration(latest));
    html! {
        p.small { (much) } (bars(&format!("{}: {much}", lane.event), &counts))
        p.small { (late) } (bars(&format!("{}: {late}", lane.event), &lags))
    }
}

/// Bars for the minutes of the last hour.
fn bars(words: &str, values: &[f64]) -> Markup {
    let most = values.iter().copied().fold(0.0, f64::max);
    let width = MINUTES * 4;
    html! {
        svg viewBox=(format!("0 0 {width} 40")) preserveAspectRatio="none" role="img" aria-label=(words) {
            line x1="0" y1="39.5" x2=(width) y2="39.5" stroke="currentColor" stroke-opacity="0.4" {}
            @for (place, value) in values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
                @let height = value / most * 38.0;
                rect x=(place * 4) y=(format!("{:.1}", 39.0 - height)) width="3" height=(format!("{height:.1}"))
                    fill="currentColor" {}
            }
        }
    }
}

fn settled(Recent { at, message }: &Recent) -> Vec<Markup> {
    let or = |it: Option<&str>| text(it.unwrap_or("–"));
    vec![
        html! { td { (moment(*at)) } },
        text(message.event),
        or(message.event_id.as_deref()),
        or(message.subject.as_deref()),
        text(message.disposition),
        or(message.result.map(CommandResult::label)),
        or(message.reason),
        or(message.code.as_deref()),
        number(message.attempts.into()),
        text(&format!("{} ms", message.duration_ms)),
    ]
}

fn counted(caption: &str, counts: &[Count]) -> Markup {
    table(
        caption,
        &["what", "how often"],
        counts.iter().map(|it| vec![text(&it.of), number(it.count)]),
    )
}

/// A table that scrolls for itself where it is wider than the screen, by the keyboard too.
fn table(caption: &str, header: &[&str], rows: impl Iterator<Item = Vec<Markup>>) -> Markup {
    let rows: Vec<Vec<Markup>> = rows.collect();
    html! {
        @if rows.is_empty() { p { (caption) ": none." } } @else {
            div.scroll role="region" aria-label=(caption) tabindex="0" {
                table {
                    caption { (caption) }
                    thead { tr { @for name in header { th scope="col" { (name) } } } }
                    tbody { @for row in rows { tr { @for cell in row { (cell) } } } }
                }
            }
        }
    }
}

fn text(text: &str) -> Markup {
    html! { td { (text) } }
}

fn number(number: u64) -> Markup {
    html! { td.number { (number) } }
}

fn moment(at: DateTime<Utc>) -> Markup {
    let shown = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    html! { time datetime=(shown) { (shown) } }
}

fn ago(time: TimeDelta) -> String {
    format!("{} ago", duration(time.to_std().ok()))
}

/// In its two largest units.
fn duration(time: Option<Duration>) -> String {
    let Some(time) = time else { return "–".into() };
    let time = match time.as_secs() {
        0 => Duration::from_millis(time.as_millis() as u64),
        seconds => Duration::from_secs(seconds),
    };
    let words = humantime::format_duration(time).to_string();
    words.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Operation;
    use crate::event::EventType;
    use crate::telemetry::{Board, Metrics, Readiness};
    use crate::verdict::Conclusion;
    use std::sync::Arc;

    #[test]
    fn a_lane_whose_events_name_unknown_things_says_so_after_twenty_commands_and_a_day() {
        let shown = |commands: i32, hours: i64| {
            let metrics = Arc::new(Metrics::new("test"));
            for number in 0..commands {
                let at = DateTime::UNIX_EPOCH + TimeDelta::hours(hours) * number / (commands - 1);
                metrics.concluded(Operation::RemoveGroupMember, &Conclusion::NotFound, at);
            }
            let readiness = Readiness::new(EventType::ALL, Arc::clone(&metrics));
            let (board, now) = (Board::new(), DateTime::UNIX_EPOCH);
            page(&Status::of(&metrics, &readiness, &board, None, now), "nonce")
        };
        let told = "The last 20 commands named what Mimecast does not know";
        assert_eq!(shown(20, 24).matches(told).count(), 1, "of one lane");
        for (commands, hours) in [(19, 48), (20, 23), (20, 0)] {
            assert!(!shown(commands, hours).contains("does not know"), "{commands} {hours}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_once_and_for_as_long_as_it_is_so() {
        let metrics = Arc::new(Metrics::new("test"));
        let readiness = Readiness::new(EventType::ALL, Arc::clone(&metrics));
        for is_wrong in [false, true, false] {
            metrics.reloaded(!is_wrong);
            metrics.limited(EventType::UrlUnblock, is_wrong);
            readiness.blocked(EventType::UrlUnblock, is_wrong.then_some("low on memory"));
            let (board, now) = (Board::new(), DateTime::UNIX_EPOCH);
            let page = page(&Status::of(&metrics, &readiness, &board, None, now), "nonce");
            for told in [
                "The settings that were read last are wrong",
                "Slowed down to policy.max_commands.",
                "The broker takes no messages: low on memory",
            ] {
                assert_eq!(page.matches(told).count(), usize::from(is_wrong), "{told}");
            }
        }
    }
}
