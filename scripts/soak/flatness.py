"""Whether what was measured stayed as it was, from the first sixth of a soak on."""

import math
import statistics
from dataclasses import dataclass

from timetable import RECONNECTED

PARTS = 60  # of the whole, for each of which there is one median: minutes of an hour
BEGINS = 10  # the first of these parts that counts

# A message that comes so shortly before a trouble may still be in work when it begins.
MARGIN = 5

# The client's buffers, 4 MiB each and two for a connection, fill like a ring, and are new after a reconnection. So
# long after one next to nothing is in them.
FRESH = 30


@dataclass(frozen=True)
class Measure:
    """What has to stay as it is, and how much it may rise: a part of what it was, and so much besides."""

    name: str
    unit: str
    part: float
    besides: float
    middle: object = statistics.median  # of the values of a time
    span: int = 10  # parts at the beginning and at the end that are compared

    def allowed(self, before):
        return before * self.part + self.besides


def quantile(share):
    def of(values):
        return sorted(values)[min(int(len(values) * share), len(values) - 1)]
    return of


# Reconnections come only every eight minutes.
MEMORY = Measure("memory after a reconnection", "MiB", 0.10, 1, span=25)
LATENCY_P50 = Measure("latency, p50", "ms", 0.10, 1, quantile(0.5))
LATENCY_P99 = Measure("latency, p99", "ms", 0.10, 5, quantile(0.99))
SAMPLED = {
    "resident": MEMORY,
    "descriptors": Measure("descriptors, but those to the vendor", "", 0, 0),
    # How many are kept depends on the rush after the last trouble: as many more as a lane has messages in work.
    "vendor": Measure("connections to the vendor", "", 0.10, 16),
    "threads": Measure("threads", "", 0, 0),
    "connections": Measure("connections to the broker", "", 0, 0),
    "channels": Measure("channels", "", 0, 0),
    "in_flight": Measure("messages in work", "", 0.10, 1),
    "cpu": Measure("processor", "%", 0.10, 1),
}


@dataclass(frozen=True)
class Finding:
    """What became of one measure."""

    measure: Measure
    first: float
    last: float
    drift: float  # of a line through all parts from the tenth on, over their whole time

    def rise(self):
        return max(self.last - self.first, self.drift)

    def is_flat(self):
        # Not "rises too much", which nothing that is not a number ever does.
        return self.rise() <= self.measure.allowed(self.first)

    def __str__(self):
        unit = f" {self.measure.unit}" if self.measure.unit else ""
        return (f"{self.measure.name}: {self.first:.2f}{unit} at first, {self.last:.2f}{unit} in the end, "
                f"{self.drift:+.2f}{unit} along the line, at most {self.measure.allowed(self.first):+.2f}{unit} allowed")


def calm_times(spells, began, ended, margin=0.0):
    """The times in which nothing was wrong, from one trouble's last effect to the next one's beginning."""
    begins = [began, *(spell.well for spell in spells)]
    ends = [*(spell.begin for spell in spells), ended]
    return [(begin, end - margin) for begin, end in zip(begins, ends)]


def is_within(at, times):
    return any(begin <= at < end for begin, end in times)


def find(measure, values, began, ended):
    """The finding on pairs of a time and a value."""
    parts = [[] for _ in range(PARTS)]
    for at, value in values:
        part = int((at - began) / (ended - began) * PARTS)
        if 0 <= part < PARTS and value is not None:
            parts[part].append(value)
    middles = [(place, measure.middle(part)) for place, part in enumerate(parts) if part and place >= BEGINS]
    first, last = (measure.middle(sum(some, [])) if any(some) else math.nan
                   for some in (parts[BEGINS:BEGINS + measure.span], parts[PARTS - measure.span:]))
    return Finding(measure, first, last, slope(middles) * (PARTS - BEGINS))


def slope(points):
    """Of the line that half of all pairs are steeper than (Theil and Sen): a few outliers are no matter to it."""
    if any(math.isinf(y) for _, y in points):
        return math.inf
    slopes = [(y - b) / (x - a) for place, (a, b) in enumerate(points) for x, y in points[place + 1:]]
    return statistics.median(slopes) if slopes else math.nan


def findings(samples, latencies, spells, began, ended):
    """What became of all measures. `latencies` are pairs of when a message was published, and milliseconds."""
    calm, early = calm_times(spells, began, ended), calm_times(spells, began, ended, MARGIN)
    samples = [sample for sample in samples if is_within(sample.at, calm)]
    counted = [(at, took) for at, took in latencies if is_within(at, early)]
    fresh = [(spell.well, spell.well + FRESH) for spell in spells if spell.name in RECONNECTED]
    of_samples = []
    for field, measure in SAMPLED.items():
        counted_in = fresh if measure is MEMORY else calm
        values = [(it.at, getattr(it, field)) for it in samples if is_within(it.at, counted_in)]
        of_samples.append(find(measure, values, began, ended))
    return [*of_samples, *(find(measure, counted, began, ended) for measure in (LATENCY_P50, LATENCY_P99))]
