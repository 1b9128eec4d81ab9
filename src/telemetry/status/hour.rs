//! The last hour of a lane, minute by minute, in a ring of fixed size.

use std::time::Duration;

/// Minutes that are kept.
pub(super) const MINUTES: usize = 60;

/// The first bound for the time from an event to its effect, in seconds, and how much longer each next one is.
const FIRST: f64 = 0.01;
const GROWTH: f64 = 1.3;

/// So many bounds reach to two days.
const BOUNDS: usize = 64;

/// The last hour of a lane.
#[derive(Clone, Debug)]
pub(super) struct Hour([Minute; MINUTES]);

/// What happened in one minute.
#[derive(Clone, Copy, Debug)]
struct Minute {
    /// Which minute since the start it is, to tell it from the same place an hour before.
    number: i64,
    settled: u32,
    effects: [u32; BOUNDS],
}

impl Default for Hour {
    fn default() -> Hour {
        Hour([Minute::empty(i64::MIN); MINUTES])
    }
}

impl Minute {
    const fn empty(number: i64) -> Minute {
        Minute { number, settled: 0, effects: [0; BOUNDS] }
    }
}

impl Hour {
    /// A message was settled so long after the start; if its effect was confirmed, so long after its event.
    pub(super) fn settled(&mut self, at: Duration, lag: Option<Duration>) {
        let minute = self.minute(number(at));
        minute.settled = minute.settled.saturating_add(1);
        if let Some(lag) = lag {
            let effects = &mut minute.effects[place(lag)];
            *effects = effects.saturating_add(1);
        }
    }

    /// Messages settled in each minute until `now`, the oldest first.
    pub(super) fn throughput(&self, now: Duration) -> [u32; MINUTES] {
        self.by_minute(now, |minute| minute.settled)
    }

    /// The time from event to effect that this part of them kept to, to within a third; nothing if there
    /// were none.
    pub(super) fn quantile(&self, part: f64, now: Duration) -> Option<Duration> {
        quantile(part, self.within(now))
    }

    /// The same for each minute until `now`, the oldest first.
    pub(super) fn quantiles(&self, part: f64, now: Duration) -> [Option<Duration>; MINUTES] {
        self.by_minute(now, |minute| quantile(part, std::iter::once(minute)))
    }

    /// What `tell` says of each minute until `now`, the oldest first.
    fn by_minute<T: Copy + Default>(
        &self,
        now: Duration,
        tell: impl Fn(&Minute) -> T,
    ) -> [T; MINUTES] {
        let mut told = [T::default(); MINUTES];
        for minute in self.within(now) {
            let ago = usize::try_from(number(now) - minute.number).unwrap_or(MINUTES);
            if let Some(place) = told.iter_mut().rev().nth(ago) {
                *place = tell(minute);
            }
        }
        told
    }

    fn within(&self, now: Duration) -> impl Iterator<Item = &Minute> {
        let last = number(now);
        let first = last.saturating_sub(MINUTES as i64 - 1);
        self.0.iter().filter(move |minute| (first..=last).contains(&minute.number))
    }

    /// The minute of this number; what was an hour before at its place is forgotten.
    fn minute(&mut self, number: i64) -> &mut Minute {
        let place = usize::try_from(number.rem_euclid(MINUTES as i64)).unwrap_or_default();
        let minute = &mut self.0[place];
        if minute.number != number {
            *minute = Minute::empty(number);
        }
        minute
    }
}

fn quantile<'a>(part: f64, minutes: impl Iterator<Item = &'a Minute>) -> Option<Duration> {
    let mut effects = [0_u64; BOUNDS];
    for minute in minutes {
        for (sum, count) in effects.iter_mut().zip(minute.effects) {
            *sum += u64::from(count);
        }
    }
    let all: u64 = effects.iter().sum();
    let wanted = (all as f64 * part).ceil().max(1.0) as u64;
    let mut reached = 0;
    let place = effects.iter().position(|count| {
        reached += count;
        reached >= wanted
    });
    place.filter(|_| all > 0).map(bound)
}

fn number(at: Duration) -> i64 {
    i64::try_from(at.as_secs() / 60).unwrap_or(i64::MAX)
}

fn place(lag: Duration) -> usize {
    let place = (lag.as_secs_f64() / FIRST).ln() / GROWTH.ln();
    (place.ceil().max(0.0) as usize).min(BOUNDS - 1)
}

fn bound(place: usize) -> Duration {
    Duration::from_secs_f64(FIRST * GROWTH.powi(place as i32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(minute: u64, second: u64) -> Duration {
        Duration::from_secs(minute * 60 + second)
    }

    #[test]
    fn what_is_older_than_an_hour_is_forgotten() {
        let mut hour = Hour::default();
        for minute in [0, 0, 1, 59, 60] {
            hour.settled(at(minute, 5), None);
        }
        let counts = hour.throughput(at(60, 59));
        assert_eq!((counts[0], counts[58], counts[59]), (1, 1, 1), "{counts:?}");
        assert_eq!(counts.iter().sum::<u32>(), 3, "the first minute is an hour ago");
        assert_eq!(hour.throughput(at(200, 0)), [0; MINUTES]);
        hour.settled(at(60, 30), Some(Duration::from_secs(2)));
        let each = hour.quantiles(0.95, at(61, 0));
        assert!(each[58].is_some_and(|it| it.as_secs_f64() < 2.7), "{each:?}");
        assert_eq!(each.iter().flatten().count(), 1);
        assert_eq!(Hour::default().quantile(0.5, at(60, 0)), None);
    }

    proptest! {
        #[test]
        fn a_quantile_is_never_below_the_truth_and_at_most_a_third_above_it(
            lags in prop::collection::vec(10_u64..100_000_000, 1..200), part in 0.01_f64..1.0,
        ) {
            let mut hour = Hour::default();
            for (number, lag) in lags.iter().enumerate() {
                hour.settled(at(number as u64 % 60, 0), Some(Duration::from_millis(*lag)));
            }
            let mut sorted = lags.clone();
            sorted.sort_unstable();
            let wanted = (lags.len() as f64 * part).ceil().max(1.0) as usize;
            let truth = sorted[wanted - 1] as f64 / 1000.0;
            let told = hour.quantile(part, at(59, 59)).unwrap().as_secs_f64();
            prop_assert!(told >= truth * 0.999 && told <= truth * 1.301, "{told} for {truth}");
        }
    }
}
