"""What happens to a daemon: work of every kind, and troubles of every kind that the dashboard shows."""

import json
import math
import random
import signal
import subprocess
import time
import urllib.parse
import urllib.request
import uuid
from datetime import datetime, timedelta, timezone

import pika

from world import ask, management

# Delays are short, or a run would take hours.
SETTINGS = {
    "RETRY__LADDER": '["2s","5s"]', "BREAKER__INITIAL_PROBE_DELAY": "1s", "BREAKER__MAX_PROBE_DELAY": "2s",
}
POLICY = '[policy]\nprotected_addresses = ["board-*@example.com"]\nmax_event_age = "1h"\n'
SLOW = POLICY + 'max_commands = 12\nwindow = "5s"\n'


class Story:
    """The producers, the vendor and the people around `world`, whose daemons take settings from the file `config`."""

    def __init__(self, world, config, daemons):
        self.world, self.config, self.daemons = world, config, daemons
        self.standing, self.troubles = [], []
        self.connection = pika.BlockingConnection(pika.URLParameters(world.facts["AMQP_URL"]))
        self.channel = self.connection.channel()
        self.random = random.Random(7)

    # ---- producers

    def publish(self, lane, data, lag=0.0, body=None, kind=None):
        happened = datetime.now(timezone.utc) - timedelta(seconds=lag)
        event = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/hr", "type": kind or lane,
                 "time": happened.isoformat(), "data": data}
        properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
        self.channel.basic_publish("events", lane, body or json.dumps(event).encode(), properties)

    def offboard(self, name, lag=0.0, member=True, **more):
        address = f"{name}@example.com"
        if member:
            ask(f"{self.world.fake}/_fake/members", {"group": "staff", "member": address})
        self.publish("user.offboarded", {"emailAddress": address, "groupIds": ["staff"], **more}, lag)

    def unblock(self, name, lag=0.0, known=True):
        if known:
            ask(f"{self.world.fake}/_fake/urls", {"id": name})
        self.publish("url.unblock", {"id": name}, lag)

    def mistakes(self):
        """Events that end as dead letters, each for another reason."""
        number = self.random.randrange(10**6)
        self.publish("user.offboarded", {}, body=b'{"emailAddress":')
        self.publish("user.offboarded", {"emailAddress": "ada@example.com", "groupIds": ["staff"]}, kind="user.renamed")
        self.publish("user.offboarded", {"emailAddress": f"wrong-{number}@nowhere", "groupIds": ["staff"]})
        self.offboard(f"board-{number}")
        self.unblock(f"old-{number}", lag=7200)

    def stubborn(self):
        """One that the vendor fails for, and answers others meanwhile, until its ladder is at its end."""
        name = f"stubborn-{self.random.randrange(10**6)}"
        self.fault({"type": "empty_body", "status": 500}, item_containing=name)
        self.offboard(name)

    def flaky(self):
        name = f"flaky-{self.random.randrange(10**6)}"
        self.fault({"type": "empty_body", "status": 503}, times=2, item_containing=name)
        self.offboard(name)

    def due(self):
        soon = datetime.now(timezone.utc) + timedelta(seconds=15)
        for number in range(25):
            self.offboard(f"due-{number}", effectiveAt=soon.isoformat())

    # ---- the vendor

    def fault(self, kind, times=None, **matches):
        wanted = {"exactly": times} if times else "always"
        self.standing.append({"matches": matches, "times": wanted, "kind": kind})
        self.weather()

    def weather(self, slowness=None):
        """What the vendor does from now on: what stands, and being slow. The first that matches counts."""
        urllib.request.urlopen(urllib.request.Request(f"{self.world.fake}/_fake/faults", method="DELETE"))
        delay = {"type": "delay", "milliseconds": slowness or self.random.randrange(15, 90)}
        for fault in [*self.troubles, *self.standing, {"times": "always", "kind": delay}]:
            ask(f"{self.world.fake}/_fake/faults", fault)
        self.standing = [fault for fault in self.standing if fault["times"] == "always"]

    def outage(self, begins):
        self.troubles = [{"times": "always", "kind": {"type": "empty_body", "status": 503}}] if begins else []
        self.weather()

    def limit(self, calls):
        ask(f"{self.world.fake}/_fake/limit", {"operation": None, "calls": calls, "window_milliseconds": 5000})

    # ---- the people

    def set(self, text):
        self.config.write_text(text)
        for daemon, _ in self.daemons:
            daemon.send_signal(signal.SIGHUP)

    def by_hand(self, command, lane):
        for _, variables in self.daemons:
            subprocess.run([self.world.programs["mimecast-eventd"], command, lane], env=variables, check=True,
                           capture_output=True)

    def cut_connections(self):
        url = self.world.facts["MANAGEMENT_URL"]
        found = json.loads(management(url, "connections"))
        for name in [one["name"] for one in found if "mimecast-eventd" in json.dumps(one)]:
            management(url, f"connections/{urllib.parse.quote(name)}", method="DELETE")

    # ---- all of it

    def tell(self, seconds):
        """The run that the picture shows: events at a rate that rises and falls, and one trouble after the other."""
        acts = {
            20: self.due, 55: lambda: self.by_hand("pause", "url.unblock"),
            75: lambda: self.by_hand("resume", "url.unblock"),
            92: lambda: self.outage(True), 112: lambda: self.outage(False),
            130: lambda: self.set(POLICY + "max_event_age = nonsense\n"), 148: lambda: self.set(POLICY),
            155: lambda: self.limit(25), 172: lambda: self.limit(800),
            184: lambda: self.weather(1500), 185: self.cut_connections, 186: self.weather,
            196: lambda: self.set(SLOW), 220: lambda: self.set(POLICY),
        }
        for second, number in ((second, number) for second in range(seconds) for number in range(4)):
            begun = time.monotonic()
            if number == 0:
                self.regular(second)
                acts.get(second, lambda: None)()
            self.burst(second)
            self.connection.process_data_events(0)
            time.sleep(max(0.0, 0.25 - (time.monotonic() - begun)))

    def regular(self, second):
        for every, offset, what in ((9, 4, self.mistakes), (21, 8, self.stubborn), (6, 2, self.flaky),
                                    (5, 0, self.weather)):
            if second % every == offset:
                what()

    def burst(self, second):
        wave = 1 + 0.6 * math.sin(second / 17) + 0.3 * math.sin(second / 5)
        for _ in range(round(1.6 * wave + self.random.random())):
            lag = self.random.expovariate(0.5) + (self.random.random() < 0.03) * 12
            self.offboard(f"leaver-{uuid.uuid4()}", lag, member=self.random.random() < 0.9)
        for _ in range(round(0.9 * wave * self.random.random() * 2)):
            self.unblock(f"url-{uuid.uuid4()}", self.random.expovariate(1.5), known=self.random.random() < 0.8)
