"""A broker with the daemon's queues and a fake of the vendor's API, for programs under measurement."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pika

from process import Process
from world import ask, await_fake, await_node, daemon_settings, management, start_fake, start_node, wait_for

QUEUE = "mimecast-eventd.user.offboarded"


class Rig:
    """All of it runs within the block. `programs` are by their names, `peers` are commands of other consumers,
    `folder` is for what they write."""

    def __init__(self, programs, peers, folder):
        self.programs, self.peers, self.folder, self.runs = programs, peers, Path(folder), 0

    def __enter__(self):
        folder = self.folder
        self.node = start_node(folder)
        self.fake_process = start_fake(self.programs["fake-mimecast"], folder)
        facts = await_node(folder)
        overview = json.loads(management(facts["MANAGEMENT_URL"], "overview"))
        self.url, self.version = facts["AMQP_URL"], overview["rabbitmq_version"]
        self.fake = await_fake(folder)
        ask(f"{self.fake}/_fake/limit", {"operation": None, "calls": 100_000_000, "window_milliseconds": 1000})
        self.connection = pika.BlockingConnection(pika.URLParameters(f"{self.url}?heartbeat=0"))
        self.channel = self.connection.channel()
        # The daemon declares its queues, at the first start.
        daemon = self.run("daemon", 64)
        wait_for("the daemon consumes", lambda: daemon.log.read_text().count('"message":"consuming"') >= 2)
        daemon.stop()
        return self

    def __exit__(self, *_):
        self.connection.close()
        self.fake_process.terminate()
        self.node.stdin.close()
        for process in [self.fake_process, self.node]:
            process.wait(60)

    def depth(self, queue=QUEUE):
        """Messages that wait."""
        return self.channel.queue_declare(queue, passive=True).method.message_count

    def consumers(self):
        return self.channel.queue_declare(QUEUE, passive=True).method.consumer_count

    def settled(self, process):
        """Messages that the daemon has told of as settled: it does so right after the ack."""
        return process.log.read_text().count('"message":"settled"')

    def fill(self, messages, groups=1):
        """Lets so many messages wait, and no other."""
        self.channel.queue_purge(QUEUE)
        subprocess.run(
            [self.programs["floor"], "fill", QUEUE, "--messages", str(messages), "--groups", str(groups)],
            env={"AMQP_URL": self.url}, check=True)
        wait_for("the messages wait", lambda: self.depth() == messages)

    def measure(self, latency_ms=0):
        """From now on the fake applies whatever comes, after so long, and counts it."""
        ask(f"{self.fake}/_fake/load", {"latency_milliseconds": latency_ms})

    def calls(self):
        return int(ask(f"{self.fake}/_fake/load").split(":")[1].rstrip("}"))

    def run(self, name, prefetch, **more):
        """Starts a program on the queue."""
        self.runs += 1
        command, variables = self.command(name, prefetch)
        return Process(command, self.folder / f"{name}-{self.runs}.log", {**variables, **more})

    def command(self, name, prefetch):
        if name == "daemon":
            return [self.programs["mimecast-eventd"], "run"], self.settings(prefetch)
        if name in self.peers:
            arguments = [QUEUE, self.fake, str(prefetch)]
            return [*self.peers[name], *arguments], {"AMQP_URL": self.url}
        floor = [self.programs["floor"], "consume", QUEUE, "--api", self.fake, "--prefetch", str(prefetch)]
        return [*floor, "--http", name], {"AMQP_URL": self.url}

    def settings(self, prefetch):
        more = {"EVENTS__USER_OFFBOARDED__PREFETCH": str(prefetch)}
        return {**daemon_settings(self.url, self.fake, **more), "XDG_RUNTIME_DIR": str(self.folder)}

    def wait_for_calls(self, process, calls, pause=0.05):
        """Waits until the fake has seen so many."""
        while self.calls() < calls:
            if process.ended():
                sys.exit(f"a program ended by itself: {process.log.read_text()[-2000:]}")
            time.sleep(pause)
