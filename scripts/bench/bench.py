"""Measures the daemon against the least that a consumer can do, and tells of it in docs/benchmarks.md.

usage: bench.py [--quick] FOLDER PROGRAM... [-- PEER COMMAND...]
"""

import argparse
import json
import statistics
import sys
import tempfile
from datetime import date
from pathlib import Path

import steady
from curve import picture
from drain import drain
from machine import machine
from rig import Rig

PAGE, PICTURE = Path("docs/benchmarks.md"), Path("docs/benchmarks.svg")
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->\n"
NAMES = {"hyper": "the bare least, with hyper", "reqwest": "the same with reqwest", "daemon": "**the daemon**",
         "node": "amqplib + undici (Node)", "python": "aio-pika + aiohttp + uvloop"}


class Bench:
    """The measures, one after the other. `scale` makes all of them smaller."""

    def __init__(self, rig, rounds, scale):
        self.rig, self.rounds, self.scale = rig, rounds, scale
        self.lines, self.goals, self.picture = [], [], ""

    def size(self, messages):
        return max(int(messages * self.scale), 200)

    def say(self, line=""):
        print(line, flush=True)
        self.lines.append(line)

    def goal(self, work, found, wanted, met):
        self.goals.append(f"| {work} | {found} | {wanted} | {'yes' if met else '**no**'} |")

    def drains(self, prefetch):
        """Rounds of all programs in turn, so that whatever else happens on the machine happens to all. What is
        closest together has more of them, and in the other order every second time."""
        names = ["hyper", "reqwest", "daemon"]
        runs = {name: [] for name in [*names, *self.rig.peers]}
        for number in range(2 * self.rounds - 1):
            for name in names if number % 2 == 0 else names[::-1]:
                runs[name].append(drain(self.rig, name, self.size(50_000), prefetch))
            for name in self.rig.peers if number < self.rounds else []:
                runs[name].append(drain(self.rig, name, self.size(20_000), prefetch))
        names = list(runs)
        self.say(f"### {self.size(50_000):,} offboardings, {prefetch} in flight, the API without latency")
        self.say()
        self.say("| program | messages/s | of the least | CPU a message | of the least | in the kernel | "
                 "switches a message | peak RSS |")
        self.say("| --- | --- | --- | --- | --- | --- | --- | --- |")
        least = {of: middle(runs["hyper"], of) for of in ("rate", "cpu", "peak")}
        for name in names:
            of = {what: middle(runs[name], what) for what in ("rate", "cpu", "kernel", "switches", "peak")}
            spread = f"{min(it.rate for it in runs[name]):,.0f} to {max(it.rate for it in runs[name]):,.0f}"
            self.say(f"| {NAMES[name]} | {of['rate']:,.0f} ({spread}) | {of['rate'] / least['rate']:.2f} "
                     f"| {of['cpu']:.1f} µs | {of['cpu'] / least['cpu']:.2f} | {of['kernel']:.1f} µs "
                     f"| {of['switches']:.2f} | {of['peak']:.1f} MiB |")
        self.say()
        # By pairs of one round: the machine is the same for both.
        rates = statistics.median(a.rate / b.rate for a, b in zip(runs["daemon"], runs["reqwest"]))
        costs = statistics.median(a.cpu / b.cpu for a, b in zip(runs["daemon"], runs["reqwest"]))
        peak = middle(runs["daemon"], "peak") / least["peak"]
        work = f"drain, {prefetch} in flight"
        self.goal(f"{work}: messages/s against the same with reqwest", f"{rates:.2f}", "≥ 1.00", rates >= 1)
        self.goal(f"{work}: CPU a message against the same with reqwest", f"{costs:.2f}", "≤ 1.15", costs <= 1.15)
        self.goal(f"{work}: peak RSS against the bare least", f"{peak:.2f}", "≤ 1.30", peak <= 1.3)
        for peer in self.rig.peers:
            ratio = middle(runs["daemon"], "rate") / middle(runs[peer], "rate")
            self.goal(f"{work}: messages/s against {NAMES[peer]}", f"{ratio:.2f}", "≥ 1.25", ratio >= 1.25)

    def backlog(self):
        peaks = [drain(self.rig, "daemon", self.size(5_000), 64, backlog=self.size(more)).peak
                 for more in (0, 495_000)]
        ratio = peaks[1] / peaks[0]
        self.goal(f"peak RSS with {self.size(500_000):,} waiting against {self.size(5_000):,}",
                  f"{peaks[1]:.1f} and {peaks[0]:.1f} MiB", "within 10 %", abs(ratio - 1) <= 0.1)

    def little(self):
        # From the full prefetch on: the first message is alone.
        parts = {"hyper": [], "daemon": []}
        for _ in range(2 * self.rounds - 1):
            for name, rates in parts.items():
                run = drain(self.rig, name, self.size(2_000), 64, latency_ms=100, skip=2)
                rates.append(run.rate / (64 / 0.1))
        found, least = statistics.median(parts["daemon"]), statistics.median(parts["hyper"])
        self.goal("drain with 100 ms API latency, of what Little's law allows",
                  f"{found:.3f} (the bare least: {least:.3f})", "≥ 0.97", found >= 0.97)

    def latency(self):
        messages = self.size(3_000)
        found = {name: steady.latencies(self.rig, name, messages, 50, 5) for name in ("hyper", "reqwest", "daemon")}
        self.say("### 50 messages/s arriving, the API takes 5 ms: time from publish to ack, less the API's")
        self.say()
        self.say("| program | p50 | p99 |")
        self.say("| --- | --- | --- |")
        at = {name: [part(it, 0.5), part(it, 0.99)] for name, it in found.items()}
        for name, (p50, p99) in at.items():
            self.say(f"| {NAMES[name]} | {p50:.2f} ms | {p99:.2f} ms |")
        self.say()
        for place, (what, most) in enumerate([("p50", 0.5), ("p99", 2)]):
            more = at["daemon"][place] - at["hyper"][place]
            self.goal(f"latency, {what}, above the bare least", f"{more:+.2f} ms", f"≤ {most} ms", more <= most)

    def small(self):
        started = statistics.median(steady.start(self.rig) for _ in range(self.rounds))
        self.goal("start to the first ack", f"{started:.0f} ms", "≤ 150 ms", started <= 150)
        used, resident = steady.idle(self.rig, 60 if self.scale == 1 else 10)
        self.goal("idle, two lanes: CPU", f"{used:.2f} % of a core", "≤ 0.2 %", used <= 0.2)
        self.goal("idle, two lanes: RSS", f"{resident:.1f} MiB", "≤ 17 MB", resident <= 17)
        letters = self.size(1_000)
        listed, replayed = steady.dead_letters(self.rig, letters)
        self.goal(f"{letters:,} dead letters listed", f"{listed:.2f} s", "≤ 1 s", listed <= 1)
        rate = letters / replayed
        self.goal(f"{letters:,} dead letters replayed", f"{rate:,.0f} a second", "≥ 2,000", rate >= 2000)

    def curves(self):
        names = ("hyper", "reqwest", "daemon")
        in_flight = {name: [(many, drain(self.rig, name, self.size(2_000 if many < 16 else 10_000), many).rate)
                            for many in (1, 4, 16, 64, 256)] for name in names}
        groups = {name: [(many, many * drain(self.rig, name, self.size(10_000) // many, 64, groups=many).rate)
                         for many in (1, 10, 100)] for name in names}
        self.picture = picture([("messages/s", "messages in flight", in_flight),
                                ("requests/s", "groups an event, 64 events in flight", groups)])
        for what, lines in (("in flight", in_flight), ("groups an event", groups)):
            self.say(f"| {what} | " + " | ".join(str(many) for many, _ in lines["daemon"]) + " |")
            self.say("| --- " * (len(lines["daemon"]) + 1) + "|")
            for name, line in lines.items():
                self.say(f"| {NAMES[name]} | " + " | ".join(f"{rate:,.0f}" for _, rate in line) + " |")
            self.say()


def middle(runs, what):
    return statistics.median(getattr(it, what) for it in runs)


def part(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def measure(bench):
    for prefetch in (64, 256):
        bench.drains(prefetch)
    bench.backlog()
    bench.little()
    bench.latency()
    bench.small()
    bench.curves()


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--quick", action="store_true")
    flags.add_argument("--peers", type=json.loads, default={})
    flags.add_argument("programs", nargs="+")
    given = flags.parse_args()
    programs = {Path(path).name: path for path in given.programs}
    rounds, scale = (1, 0.1) if given.quick else (5, 1)
    with tempfile.TemporaryDirectory() as folder, Rig(programs, given.peers, folder) as rig:
        bench = Bench(rig, rounds, scale)
        measure(bench)
    lines = ["## What was measured", "", f"On {date.today()}: {machine()}, RabbitMQ {rig.version}.",
             f"Everything ran on this one machine, {rounds} rounds in turn, and {2 * rounds - 1} of what is against the",
             "least. Medians, and ratios from within the run.",
             "", "| work | found | goal | met |", "| --- | --- | --- | --- |",
             *bench.goals, "", *bench.lines]
    print("\n".join(lines[:len(bench.goals) + 8]))
    if given.quick:
        return
    before, rest = PAGE.read_text().split(BEGIN)
    PICTURE.write_text(bench.picture)
    PAGE.write_text(before + BEGIN + "\n" + "\n".join(lines) + END + rest.split(END)[1])


sys.exit(main())
