"""Brings about the troubles of the timetable, and says when all was well again."""

import json
import math
import os
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pika
from pika.exceptions import AMQPError

import timetable
from event import LANES
from world import ask, management, start, wait_for

# Calls in a second. What has waited through an outage uses up a narrower quota, and then the next ones wait too.
WIDE = 5000
# Delays are short, or an hour would hold few troubles.
SETTINGS = """
[amqp]
heartbeat = "5s"
[events."user.offboarded"]
prefetch = {prefetch}
[policy]
protected_addresses = ["board-*@example.com"]
max_event_age = "6h"
allow_undated = true
verify_effect = {verify}
{guard}
[mimecast]
timeout = "2s"
connect_timeout = "1s"
group_cache = "{cache}"
[retry]
attempts = 4
initial_delay = "200ms"
max_delay = "1s"
ladder = ["1s", "2s", "5s", "10s", "20s"]
[breaker]
initial_probe_delay = "{probe}"
max_probe_delay = "1s"
"""
USUAL = {"prefetch": 16, "verify": "false", "guard": "", "cache": "30s", "probe": "200ms"}
OTHER = {**USUAL, "prefetch": 8, "verify": "true", "cache": "2s", "probe": "500ms"}
GUARDED = {**USUAL, "guard": 'max_commands = 40\nwindow = "2s"'}
MISTAKEN = {**USUAL, "probe": "soon"}


@dataclass
class Spell:
    """A trouble that came, in seconds of the Unix epoch. It is not over as long as nothing else is known."""

    name: str
    begin: float
    end: float = math.inf
    well: float = math.inf


class Troubles:
    """What happens to `world`, whose daemon reads its settings from the file `config`."""

    def __init__(self, world, config):
        self.world, self.config, self.spells = world, config, []
        self.limit(WIDE)
        kinds = {"API answers 503": {"type": "empty_body", "status": 503}, "API hangs": {"type": "hang"},
                 "API talks garbage": {"type": "not_json"}, "API replies are lost": {"type": "lose_reply"},
                 "API answers 429": {"type": "throttle", "reset_milliseconds": 500, "retry_after": None},
                 "API resets connections": {"type": "reset"}}
        self.acts = {
            **{name: lambda kind=kind: self.vendor_is(kind) for name, kind in kinds.items()},
            "API refuses the credentials": self.credentials_refused,
            "API is out of quota": self.quota,
            "connections closed": self.connections_closed,
            "memory alarm": self.memory_alarm,
            timetable.BROKER_STOPPED: self.broker_stopped,
            timetable.BROKER_KILLED: self.broker_killed,
            "other settings": lambda: self.settings(OTHER),
            "guard on": lambda: self.settings(GUARDED),
            "mistaken settings": lambda: self.settings(MISTAKEN, "refused"),
            "lane paused": lambda: self.paused(["url.unblock"]),
            "all paused": lambda: self.paused([]),
        }

    def run(self, acts, began, over):
        """Performs what the timetable says until it is `over`."""
        for act in acts:
            if over.wait(max(0.0, began + act.second - time.time())):
                return
            spell = Spell(act.name, time.time())
            self.spells.append(spell)
            with self.acts[act.name]():
                over.wait(act.lasts)
            spell.end = time.time()
            wait_for(f"all is well after: {act.name}", self.is_well)
            spell.well = time.time()
            print(f"{spell.begin - began:7.1f} s  {act.name}, for {spell.end - spell.begin:.1f} s, "
                  f"well {spell.well - spell.end:.1f} s later", flush=True)

    # ---- the vendor

    @contextmanager
    def vendor_is(self, kind):
        ask(f"{self.world.fake}/_fake/faults", {"times": "always", "kind": kind})
        yield
        urllib.request.urlopen(urllib.request.Request(f"{self.world.fake}/_fake/faults", method="DELETE"))

    @contextmanager
    def credentials_refused(self):
        ask(f"{self.world.fake}/_fake/credentials", {"refuse": True})
        yield
        ask(f"{self.world.fake}/_fake/credentials", {"refuse": False})

    @contextmanager
    def quota(self):
        """A third of what is needed."""
        self.limit(20)
        yield
        self.limit(WIDE)

    def limit(self, calls):
        ask(f"{self.world.fake}/_fake/limit", {"operation": None, "calls": calls, "window_milliseconds": 1000})

    # ---- the broker

    @contextmanager
    def connections_closed(self):
        wait_for("the broker tells of both connections", lambda: len(connections(self.world)) >= 2)
        for one in connections(self.world):
            path = f"connections/{urllib.parse.quote(one['name'])}"
            management(self.world.facts["MANAGEMENT_URL"], path, method="DELETE")
        yield

    @contextmanager
    def memory_alarm(self):
        self.control("set_vm_memory_high_watermark", "absolute", "1")
        yield
        self.control("set_vm_memory_high_watermark", "0.4")

    @contextmanager
    def broker_stopped(self):
        self.control("stop_app")
        yield
        self.control("start_app")

    @contextmanager
    def broker_killed(self):
        world, folder = self.world, self.world.folder
        os.kill(int(world.facts["PID"]), signal.SIGKILL)
        world.node.wait()
        yield
        log = folder / f"node-{len(self.spells)}.log"
        world.node = start(["scripts/broker/node.sh", folder / "node"], log, stdin=subprocess.PIPE)
        wait_for("the node is back", lambda: "READY" in log.read_text().splitlines())
        world.facts = dict(line.split("=", 1) for line in log.read_text().splitlines() if "=" in line)

    def control(self, *arguments):
        folder = self.world.folder / "node"
        node = dict(line.split("=", 1) for line in (folder / "node.env").read_text().splitlines())
        variables = {"HOME": str(folder), "RABBITMQ_NODENAME": node["NODE_NAME"], "ERL_EPMD_PORT": node["EPMD_PORT"]}
        command = [Path(os.environ["BROKER_PROGRAMS"]) / "rabbitmqctl", *arguments]
        subprocess.run(command, env={**os.environ, **variables}, check=True, capture_output=True)

    # ---- people

    @contextmanager
    def settings(self, settings, result="applied"):
        self.reload(settings, result)
        yield
        self.reload(USUAL, "applied")

    def reload(self, settings, result):
        """Returns when the daemon says what it made of them."""
        reloads = f'eventd_settings_reloads_total{{result="{result}"}}'
        before = metric(self.world, reloads)
        write_settings(self.config, settings)
        self.world.daemon.send_signal(signal.SIGHUP)
        wait_for(f"the settings are {result}", lambda: metric(self.world, reloads) > before)

    @contextmanager
    def paused(self, lanes):
        self.by_hand("pause", *lanes)
        yield
        self.by_hand("resume", *lanes)

    def by_hand(self, *arguments):
        command = [self.world.programs["mimecast-eventd"], *arguments]
        subprocess.run(command, env=self.world.environment(), check=True, capture_output=True)

    # ---- the end of it

    def is_well(self):
        """Whether both lanes consume and what has waited is done."""
        states = [metric(self.world, f'eventd_lane_state{{event="{lane}",state="consuming"}}') for lane in LANES]
        try:
            return states == [1, 1] and not any(depths(self.world, LANES.values()).values())
        except AMQPError:
            return False


def write_settings(config, settings):
    """All at once: the daemon looks at the file by itself too."""
    draft = config.with_suffix(".new")
    draft.write_text(SETTINGS.format(**settings))
    draft.rename(config)


def metric(world, series):
    """What a metric of the daemon shows; the sum, if the series is named by its beginning."""
    lines = ask(f"{world.admin_url}/metrics").splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series))


def connections(world):
    """The daemon's own, as the broker tells of them."""
    found = json.loads(management(world.facts["MANAGEMENT_URL"], "connections"))
    return [one for one in found if "mimecast-eventd" in json.dumps(one)]


def depths(world, queues):
    """How many messages wait in each."""
    connection = pika.BlockingConnection(pika.URLParameters(world.facts["AMQP_URL"]))
    channel = connection.channel()
    found = {queue: channel.queue_declare(queue, passive=True).method.message_count for queue in queues}
    connection.close()
    return found
