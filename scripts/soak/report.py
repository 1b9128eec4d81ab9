"""Tells of a soak: on the terminal, in docs/soak.md, and in docs/soak.svg."""

import math
import statistics
from collections import defaultdict
from datetime import date
from pathlib import Path

from flatness import LATENCY_P50, LATENCY_P99, MARGIN, PARTS, calm_times, is_within
from machine import machine
from picture import picture

PAGE, PICTURE = Path("docs/soak.md"), Path("docs/soak.svg")
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->\n"


def lines(soak):
    return [*heading(soak), "", *flatness(soak), "", *ledger(soak), "", *troubles(soak)]


def heading(soak):
    calm = sum(end - begin for begin, end in calm_times(soak.spells, soak.began, soak.ended))
    share = 100 * calm / (soak.ended - soak.began)
    return ["## What was measured", "",
            f"On {date.today()}: {machine()}, RabbitMQ {soak.version}.",
            f"{soak.minutes} minutes with {soak.rate} events a second and the seed {soak.seed}. {len(soak.spells)} times "
            "something was wrong,",
            f"and for {share:.0f} % of the time nothing was. At most the daemon had {int(soak.peak) / 1024:.1f} MiB."]


def flatness(soak):
    first, last = f"minutes {soak.minutes / 6:.3g} to {soak.minutes / 3:.3g}", f"last {soak.minutes / 6:.3g} minutes"
    rows = [f"| in calm moments | {first} | {last} | along the line | may rise by | flat |",
            "| --- | --- | --- | --- | --- | --- |"]
    for it in soak.findings:
        unit = f" {it.measure.unit}" if it.measure.unit else ""
        rows.append(f"| {it.measure.name} | {it.first:.2f}{unit} | {it.last:.2f}{unit} | {it.drift:+.2f}{unit} "
                    f"| {it.measure.allowed(it.first):.2f}{unit} | {'yes' if it.is_flat() else '**no**'} |")
    return rows


def ledger(soak):
    it = soak.account
    rows = ["| messages | |", "| --- | --- |", f"| published | {it.published:,} |", f"| applied | {it.applied:,} |"]
    rows += [f"| dead letters: {reason} | {count:,} |" for reason, count in sorted(it.letters.items())]
    return [*rows, f"| still queued | {it.queued:,} |", f"| lost | {len(it.lost):,} |",
            f"| unexpected | {len(it.unexpected):,} |", f"| commands carried out once more | {it.repeated:,} |"]


def troubles(soak):
    times = defaultdict(list)
    for spell in soak.spells:
        times[spell.name].append(spell)
    rows = ["| trouble | times | seconds that it lasted | until all was well, median | at most |",
            "| --- | --- | --- | --- | --- |"]
    for name, spells in sorted(times.items()):
        after = [spell.well - spell.end for spell in spells]
        rows.append(f"| {name} | {len(spells)} | {sum(spell.end - spell.begin for spell in spells):.0f} "
                    f"| {statistics.median(after):.1f} s | {max(after):.1f} s |")
    return rows


def drawn(soak):
    calm = calm_times(soak.spells, soak.began, soak.ended, MARGIN)
    parts = [[] for _ in range(PARTS)]
    for at, took in soak.latencies:
        if is_within(at, calm):
            parts[int((at - soak.began) / (soak.ended - soak.began) * PARTS)].append(took)
    step = (soak.ended - soak.began) / PARTS

    def sampled(field):
        return [(sample.at, getattr(sample, field)) for sample in soak.samples]

    def timed(measure):
        middles = [measure.middle(part) if part else math.inf for part in parts]
        return [(soak.began + (place + 0.5) * step, middle if math.isfinite(middle) else None)
                for place, middle in enumerate(middles)]

    return picture([
        ("Memory, MiB", {"resident": sampled("resident")}),
        ("Descriptors", {"all others": sampled("descriptors"), "to the vendor": sampled("vendor")}),
        ("Threads, and at the broker", {"threads": sampled("threads"), "connections": sampled("connections"),
                                        "channels": sampled("channels")}),
        ("Messages in work", {"in work": sampled("in_flight")}),
        ("From publish to settlement in calm moments, ms", {"p50": timed(LATENCY_P50), "p99": timed(LATENCY_P99)}),
    ], soak.spells, soak.began, soak.ended)


def write(soak):
    PICTURE.write_text(drawn(soak))
    before, rest = PAGE.read_text().split(BEGIN)
    told = ["", *lines(soak), "", "![What the daemon took, by the time](soak.svg)"]
    PAGE.write_text(before + BEGIN + "\n".join(told) + "\n" + END + rest.split(END)[1])
