"""What the daemon takes of the machine, every few seconds."""

import json
import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from trouble import connections, metric

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Sample:
    """At one moment, in seconds of the Unix epoch."""

    at: float
    resident: float  # MiB
    descriptors: int  # all but the next
    vendor: int  # connections to the vendor, which are kept for a while when they are not needed
    threads: int
    cpu: float  # per cent of a processor, since the sample before
    in_flight: float  # messages
    connections: int | None  # at the broker; none while it does not tell
    channels: int | None


class Sampler:
    """Looks at the daemon of `world`."""

    def __init__(self, world):
        self.world, self.proc = world, Path(f"/proc/{world.daemon.pid}")
        self.port, self.before = int(world.fake.rpartition(":")[2]), None

    def take(self):
        at, used = time.time(), self.used()
        status = dict(line.split(":", 1) for line in (self.proc / "status").read_text().splitlines())
        descriptors, vendor = self.descriptors()
        before, self.before = self.before or (at - 1, used), (at, used)
        try:
            told = connections(self.world)
        except OSError:
            told = []
        return Sample(
            at, int(status["VmRSS"].split()[0]) / 1024, descriptors, vendor, int(status["Threads"]),
            100 * (used - before[1]) / (at - before[0]),
            metric(self.world, "eventd_messages_in_flight{"),
            len(told) or None, sum(one.get("channels", 0) for one in told) or None)

    def descriptors(self):
        """All but those to the vendor, and those."""
        fields = [line.split() for line in (self.proc / "net/tcp").read_text().splitlines()[1:]]
        to_vendor = {f"socket:[{it[9]}]" for it in fields if int(it[2].partition(":")[2], 16) == self.port}
        opened = []
        for descriptor in (self.proc / "fd").iterdir():
            try:
                opened.append(os.readlink(descriptor))
            except FileNotFoundError:
                # It was closed meanwhile.
                continue
        vendor = sum(one in to_vendor for one in opened)
        return len(opened) - vendor, vendor

    def used(self):
        """Seconds of a processor so far."""
        fields = (self.proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


class Settlements:
    """What the daemon's log says of messages: when each was acked first, and how often."""

    def __init__(self, log):
        self.log, self.offset = log, 0
        self.first, self.times, self.grave, self.strange = {}, {}, {}, []

    def read(self):
        """What was added since the last time, as far as lines are whole."""
        with self.log.open("rb") as log:
            log.seek(self.offset)
            added = log.read()
        whole = added[:added.rfind(b"\n") + 1]
        self.offset += len(whole)
        for line in whole.decode().splitlines():
            try:
                self.note(json.loads(line))
            except ValueError:
                # Only a panic says something else than JSON.
                self.strange.append(line)

    def note(self, said):
        if said["level"] == "ERROR":
            self.grave[said["message"]] = self.grave.get(said["message"], 0) + 1
        if said["message"] == "settled" and said["disposition"] == "ack":
            name = said.get("event_id")
            self.first.setdefault(name, datetime.fromisoformat(said["timestamp"]).timestamp())
            self.times[name] = self.times.get(name, 0) + 1
