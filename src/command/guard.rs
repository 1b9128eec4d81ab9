//! What an event has to keep to before anything is done for it: an event from a broken pipeline shall not
//! empty a tenant's groups.

use super::pattern::{AddressPattern, Pattern};
use super::rule::Rule;
use crate::event::{Data, Event, FASTEST_CLOCK, Group};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// A timestamp of more seconds is one of milliseconds: those of 1973 would be the seconds of the year 5138.
const MOST_SECONDS: i64 = 100_000_000_000;

/// The rules, as far as they are set; without any, everything is allowed.
#[derive(Clone, Debug, Default)]
pub struct Guards {
    /// The sources whose events are carried out; all if there are none.
    pub allowed_sources: Vec<Pattern>,
    /// The users of the broker whose events are carried out; all if there are none.
    pub allowed_users: Vec<String>,
    /// The groups, by id or name, that may be left; all if there are none.
    pub allowed_groups: Vec<String>,
    /// The groups, by id or name, that nobody is removed from.
    pub protected_groups: Vec<String>,
    /// Addresses and domains that are removed from nothing.
    pub protected_addresses: Vec<AddressPattern>,
    /// An older event is not carried out any more.
    pub max_event_age: Option<Duration>,
    /// Whether an event of unknown age is, where the age counts.
    pub allow_undated: bool,
    /// Whether an entry that is named by its id has to be one that blocks.
    pub only_blocked: bool,
    /// Whether a removal counts only when the member is not seen in the group any more.
    pub verify_effect: bool,
    /// How many commands a lane may carry out in a window of which length, if not any number.
    pub max_commands: Option<(usize, Duration)>,
    /// Whether nothing is changed at all.
    pub dry_run: bool,
}

/// Against which rule an event is, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule.
    pub rule: Rule,
    /// How, without a word of the event.
    pub detail: &'static str,
}

impl Guards {
    /// Whether a rule is about groups, so that Mimecast has to be asked which groups it has.
    pub fn are_about_groups(&self) -> bool {
        !self.allowed_groups.is_empty() || !self.protected_groups.is_empty()
    }

    /// Whether `event` may be carried out at `now`, as far as nobody has to be asked for that.
    /// `user_id` and `timestamp` are what the broker's properties say: it has checked the first.
    ///
    /// # Errors
    ///
    /// The first rule that it is against.
    pub fn admit(
        &self,
        event: &Event,
        user_id: Option<&str>,
        timestamp: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<(), Breach> {
        // Who does not say who it is, is nobody of those who may.
        let is_allowed = |source: &str| self.allowed_sources.iter().any(|it| it.matches(source));
        if !self.allowed_sources.is_empty() && !event.source.as_deref().is_some_and(is_allowed) {
            return breach(Rule::AllowedSources, "the source is not among those that are allowed");
        }
        let is_allowed = |user: &str| self.allowed_users.iter().any(|it| it == user);
        if !self.allowed_users.is_empty() && !user_id.is_some_and(is_allowed) {
            return breach(Rule::AllowedUsers, "the user_id is not among those that are allowed");
        }
        if let Data::UserOffboarded { member, .. } = &event.data
            && self.protected_addresses.iter().any(|it| it.matches(member))
        {
            return breach(Rule::ProtectedAddresses, "the address or domain is protected");
        }
        // By other names they are found by whoever can ask the vendor.
        if let Data::UserOffboarded { groups: Some(groups), .. } = &event.data
            && groups.iter().any(|group| self.protected_groups.iter().any(|it| it == called(group)))
        {
            return breach(Rule::ProtectedGroups, "a group of the event is protected");
        }
        self.admit_age(event, timestamp, now)
    }

    fn admit_age(
        &self,
        event: &Event,
        timestamp: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<(), Breach> {
        let Some(most) = self.max_event_age else { return Ok(()) };
        let is_old = |since: DateTime<Utc>| (now - since).to_std().is_ok_and(|age| age > most);
        // What is further ahead than a clock may be would stay young for ever.
        let is_past = |time: &DateTime<Utc>| *time - now <= FASTEST_CLOCK;
        let time = event.time.filter(is_past).or(timestamp.filter(is_past));
        let since = time.max(event.due.as_ref().map(|due| due.at));
        // AMQP has seconds. A producer that writes milliseconds may write anything, so that they can prove an event
        // old, and never young.
        let milliseconds = timestamp.and_then(milliseconds).filter(|_| since.is_none());
        match (since, milliseconds) {
            (Some(since), _) | (None, Some(since)) if is_old(since) => {
                breach(Rule::MaxEventAge, "the event is older than is allowed")
            }
            (Some(_), _) => Ok(()),
            (None, _) if self.allow_undated => Ok(()),
            (None, Some(_)) => breach(
                Rule::MaxEventAge,
                "the event does not say when it happened, and its AMQP timestamp is in milliseconds",
            ),
            (None, None) => breach(
                Rule::MaxEventAge,
                "the event does not say when it happened, or says a time to come",
            ),
        }
    }
}

/// The time that a timestamp means which was written in milliseconds.
fn milliseconds(timestamp: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let number = Some(timestamp.timestamp()).filter(|number| *number >= MOST_SECONDS)?;
    DateTime::from_timestamp_millis(number)
}

fn breach(rule: Rule, detail: &'static str) -> Result<(), Breach> {
    Err(Breach { rule, detail })
}

fn called(group: &Group) -> &str {
    match group {
        Group::Id(id) => id,
        Group::Name(name, _) => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Envelope, EventType, Reading};

    const NOW: &str = "2026-11-25T12:00:00Z";

    fn event(data: &str, time: Option<&str>) -> Event {
        let time = time.map(|time| format!(r#""time":"{time}","#)).unwrap_or_default();
        let body = format!(
            r#"{{"specversion":"1.0","id":"e","source":"/hr/de","type":"user.offboarded",{time}"data":{data}}}"#
        );
        let envelope = Envelope { body: body.into(), ..Envelope::default() };
        Event::parse(&envelope, EventType::UserOffboarded, &Reading::default()).unwrap()
    }

    fn ada(time: Option<&str>) -> Event {
        event(r#"{"emailAddress":"ada@example.com"}"#, time)
    }

    fn broken(
        guards: &Guards,
        event: &Event,
        user: Option<&str>,
        at: Option<&str>,
    ) -> Option<Rule> {
        let timestamp = at.map(|at| at.parse().unwrap());
        guards.admit(event, user, timestamp, NOW.parse().unwrap()).err().map(|breach| breach.rule)
    }

    #[test]
    fn without_rules_everything_is_allowed() {
        assert_eq!(broken(&Guards::default(), &ada(None), None, None), None);
    }

    #[test]
    fn who_is_not_among_the_allowed_and_who_says_nothing_is_refused() {
        let sources = |text| Guards {
            allowed_sources: vec![Pattern::new("/other"), Pattern::new(text)],
            ..Guards::default()
        };
        assert_eq!(broken(&sources("/hr/*"), &ada(None), None, None), None);
        assert_eq!(broken(&sources("/hr"), &ada(None), None, None), Some(Rule::AllowedSources));
        let nameless = Event { source: None, ..ada(None) };
        assert_eq!(broken(&sources("*"), &nameless, None, None), Some(Rule::AllowedSources));
        let users = Guards { allowed_users: vec!["hr".into()], ..Guards::default() };
        assert_eq!(broken(&users, &ada(None), Some("hr"), None), None);
        for user in [None, Some("HR"), Some(""), Some("soc")] {
            assert_eq!(broken(&users, &ada(None), user, None), Some(Rule::AllowedUsers));
        }
    }

    #[test]
    fn a_protected_address_is_protected_however_it_is_written_and_with_its_domain() {
        let guards = |text: &str| Guards {
            protected_addresses: vec![AddressPattern::parse(text).unwrap()],
            ..Guards::default()
        };
        for (pattern, data, is_protected) in [
            ("ada@example.com", r#"{"emailAddress":" ADA@Example.COM "}"#, true),
            ("ada@example.com", r#"{"emailAddress":"bob@example.com"}"#, false),
            (" ADA@Example.com. ", r#"{"emailAddress":"ada@example.com"}"#, true),
            ("mu\u{308}*@*", r#"{"emailAddress":"MÜLLER@example.com"}"#, true),
            ("*@bü*.example", r#"{"emailAddress":"x@xn--bcher-kva.example"}"#, true),
            ("xn--b*.example", r#"{"domain":"bücher.example"}"#, true),
            ("*@*\u{3002}bücher.example", r#"{"emailAddress":"x@hr.bücher.example"}"#, true),
            ("*@bü*.bücher.example", r#"{"emailAddress":"x@büro.bücher.example"}"#, true),
            ("*@xn--*.example", r#"{"emailAddress":"x@bücher.example"}"#, true),
            ("*@דוג*.example", r#"{"emailAddress":"x@דוגמה.example"}"#, true),
            (
                "*@نامه\u{200c}ای.example",
                r#"{"emailAddress":"x@xn--mgba3gch31f060k.example"}"#,
                true,
            ),
            ("5%a?@example.com", r#"{"emailAddress":"5%ax@example.com"}"#, true),
            ("5%o?@example.com", r#"{"emailAddress":"5%ox@example.com"}"#, true),
            ("*@163.com", r#"{"emailAddress":"x@163.com"}"#, true),
            ("*@4.example.com", r#"{"emailAddress":"x@4.example.com"}"#, true),
            ("?da@*", r#"{"emailAddress":"ada@example.com"}"#, true),
            ("ceo*@*.example.com", r#"{"emailAddress":"CEO2@hr.example.com"}"#, true),
            ("ΝΙΚΟΣ.ΠΑΠ@example.com", r#"{"emailAddress":"νικος.παπ@example.com"}"#, true),
            ("νικος.παπ@example.com", r#"{"emailAddress":"ΝΙΚΟΣ.ΠΑΠ@example.com"}"#, true),
            ("ΝΙΚΟΣ*@example.com", r#"{"emailAddress":"νικος@example.com"}"#, true),
            ("*ΟΣ.Α@example.com", r#"{"emailAddress":"νικος.α@example.com"}"#, true),
            ("*@board.example.com", r#"{"emailAddress":"x@board.example.com"}"#, true),
            ("*@board.example.com", r#"{"emailAddress":"x@example.com"}"#, false),
            ("*@bücher.example", r#"{"emailAddress":"x@xn--bcher-kva.example"}"#, true),
            ("*@xn--bcher-kva.example", r#"{"emailAddress":"x@BÜCHER.example"}"#, true),
            ("example.com", r#"{"domain":"EXAMPLE.com."}"#, true),
            ("*.example.com", r#"{"domain":"hr.example.com"}"#, true),
            ("*.example.com", r#"{"domain":"example.com"}"#, false),
            // With the domain its members would go.
            ("ada@example.com", r#"{"domain":"example.com"}"#, true),
            ("ada@example.com", r#"{"domain":"example.org"}"#, false),
            ("*", r#"{"domain":"example.org"}"#, true),
            ("*", r#"{"emailAddress":"x@example.org"}"#, true),
        ] {
            let expected = is_protected.then_some(Rule::ProtectedAddresses);
            assert_eq!(
                broken(&guards(pattern), &event(data, None), None, None),
                expected,
                "{pattern} {data}"
            );
        }
    }

    #[test]
    fn a_pattern_that_could_protect_nobody_is_an_error() {
        for text in [
            "SMTP:ceo@example.com",
            "c\u{200b}eo@example.com",
            "SMTP:*@board.example",
            "\"*@board.example\"",
            "CEO <*@board.example>",
            "*@https://board.example",
            "*@board.example..",
            "*\u{ff20}board.example",
            "ｃeo*@board.example",
            "*@ｂoard*.example",
            "*@\u{24d1}oard*.example",
            "*@bo\u{200b}ard*.example",
            "@",
            "",
        ] {
            assert!(AddressPattern::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_group_that_is_protected_by_what_the_event_calls_it_is_refused_without_a_question() {
        let guards = Guards { protected_groups: vec!["Board".into()], ..Guards::default() };
        for (groups, is_protected) in [
            (r#""groups":["Open","Board"]"#, true),
            (r#""groupIds":["Board"]"#, true),
            (r#""groups":["board"],"groupIds":["Open"]"#, false),
        ] {
            let data = format!(r#"{{"emailAddress":"ada@example.com",{groups}}}"#);
            let expected = is_protected.then_some(Rule::ProtectedGroups);
            assert_eq!(broken(&guards, &event(&data, None), None, None), expected, "{groups}");
        }
    }

    #[test]
    fn an_event_that_is_too_old_or_of_unknown_age_is_refused_where_its_age_counts() {
        let hour = Some(Duration::from_hours(1));
        let guards = Guards { max_event_age: hour, ..Guards::default() };
        let (old, young) = ("2026-11-25T10:59:59Z", "2026-11-25T11:00:00Z");
        let expired = Some(Rule::MaxEventAge);
        assert_eq!(broken(&guards, &ada(Some(old)), None, None), expired);
        assert_eq!(broken(&guards, &ada(Some(young)), None, None), None);
        let (soon, far) = ("2026-11-25T12:05:00Z", "2026-11-25T12:05:01Z");
        assert_eq!(broken(&guards, &ada(Some(soon)), None, None), None, "clocks differ");
        assert_eq!(broken(&guards, &ada(Some(far)), None, None), expired, "as without a time");
        assert_eq!(broken(&guards, &ada(Some(far)), None, Some(young)), None, "it was published");
        assert_eq!(broken(&guards, &ada(Some(far)), None, Some(old)), expired);
        assert_eq!(broken(&guards, &ada(None), None, Some(far)), expired);
        assert_eq!(broken(&guards, &ada(Some(old)), None, Some(young)), expired, "its own counts");
        assert_eq!(broken(&guards, &ada(None), None, Some(young)), None);
        assert_eq!(broken(&guards, &ada(None), None, Some(old)), expired);
        assert_eq!(broken(&guards, &ada(None), None, None), expired);
        let undated = Guards { allow_undated: true, ..guards.clone() };
        assert_eq!(broken(&undated, &ada(None), None, None), None);
        assert_eq!(broken(&undated, &ada(Some(far)), None, None), None);
        assert_eq!(broken(&undated, &ada(Some(old)), None, None), expired);
        let due = r#"{"emailAddress":"ada@example.com","effectiveAt":"2026-11-25T11:30:00Z"}"#;
        assert_eq!(
            broken(&guards, &event(due, Some(old)), None, None),
            None,
            "it counts from then"
        );
    }

    #[test]
    fn a_timestamp_in_milliseconds_proves_an_event_old_and_never_young() {
        let guards = Guards { max_event_age: Some(Duration::from_hours(1)), ..Guards::default() };
        let undated = Guards { allow_undated: true, ..guards.clone() };
        let now: DateTime<Utc> = NOW.parse().unwrap();
        let far = ada(Some("2099-01-01T00:00:00Z"));
        let young = ada(Some("2026-11-25T11:30:00Z"));
        let due = event(
            r#"{"emailAddress":"ada@example.com","effectiveAt":"2026-11-25T11:30:00Z"}"#,
            None,
        );
        let detail = |guards: &Guards, event: &Event, timestamp: i64| {
            // As AMQP has it, in seconds.
            let timestamp = DateTime::from_timestamp(timestamp, 0);
            guards.admit(event, None, timestamp, now).err().map(|breach| breach.detail)
        };
        let old = Some("the event is older than is allowed");
        let unknown = Some(
            "the event does not say when it happened, and its AMQP timestamp is in milliseconds",
        );
        let to_come = Some("the event does not say when it happened, or says a time to come");
        let ago = |seconds: i64| now.timestamp_millis() - seconds * 1000;
        for (timestamp, without, allowing) in [
            (ago(0), unknown, None),
            (ago(3600), unknown, None),
            (ago(3601), old, old),
            (ago(365 * 24 * 3600), old, old),
            (100_000_000_000, old, old),
            (99_999_999_999, to_come, None),
            (ago(-300), unknown, None),
            (ago(-365 * 24 * 3600), unknown, None),
            // Microseconds and nanoseconds are no time at all.
            (ago(3601) * 1000, to_come, None),
            (i64::MAX, to_come, None),
        ] {
            for event in [&ada(None), &far] {
                assert_eq!(detail(&guards, event, timestamp), without, "{timestamp}");
                assert_eq!(detail(&undated, event, timestamp), allowing, "{timestamp}");
            }
            assert_eq!(detail(&guards, &young, timestamp), None, "its own counts");
            assert_eq!(detail(&guards, &due, timestamp), None, "it counts from then");
        }
    }
}
