"""Lets the daemon work for a long time, in good and bad times, and insists that nothing grows and nothing is lost.

usage: soak.py --minutes N --seed N --rate N FAKE DAEMON
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pika

import report
from event import PLAIN
from flatness import findings
from ledger import Letter, account
from producer import Producer
from sample import Sampler, Settlements
from timetable import timetable
from trouble import USUAL, Troubles, depths, metric, write_settings
from world import PATIENCE, World, ask, management

FULL = 60
EVERY = 5  # seconds between samples
# What waits longest is on the last rung, or waits aside.
DRAIN = 180
DEAD_LETTERS = "mimecast-eventd.dead-letter"


@dataclass
class Soak:
    """What a run came to."""

    minutes: int
    seed: int
    rate: int
    began: float = 0.0
    ended: float = 0.0
    version: str = ""
    peak: str = ""
    spells: list = field(default_factory=list)
    samples: list = field(default_factory=list)
    latencies: list = field(default_factory=list)
    findings: list = field(default_factory=list)
    account: object = None
    complaints: list = field(default_factory=list)


def run(soak, programs, folder):
    config = folder / "settings.toml"
    write_settings(config, USUAL)
    settings = {"CONFIG": str(config), "AUDIT__PATH": str(folder / "audit.jsonl"), "AUDIT__FSYNC": "1s"}
    with World(programs, folder, settings) as world:
        world.admin_url = world.admin()
        overview = json.loads(management(world.facts["MANAGEMENT_URL"], "overview"))
        soak.version = overview["rabbitmq_version"]
        producer, troubles = Producer(world.facts["AMQP_URL"], world.fake, soak.seed, soak.rate), Troubles(world, config)
        settlements = Settlements(world.log)
        soak.began = time.time()
        soak.ended = soak.began + soak.minutes * 60
        work(soak, world, producer, troubles, settlements)
        soak.spells = troubles.spells
        settle(soak, world, producer, settlements)
    latencies = ((event.sent, 1000 * (settlements.first.get(event.name, float("inf")) - event.sent))
                 for event in producer.events.values() if event.kind in PLAIN and event.times == 1)
    soak.latencies = list(latencies)
    soak.findings = findings(soak.samples, soak.latencies, soak.spells, soak.began, soak.ended)


def work(soak, world, producer, troubles, settlements):
    """Publishes, brings about the troubles and looks on, all at once."""
    over, sampler = threading.Event(), Sampler(world)
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(producer.run, over),
                pool.submit(troubles.run, timetable(soak.seed, soak.minutes), soak.began, over)]
        try:
            for number in range(1, soak.minutes * 60 // EVERY + 1):
                time.sleep(max(0.0, soak.began + number * EVERY - time.time()))
                for job in jobs:
                    # Whatever ended one of them ends the soak.
                    if job.done():
                        job.result()
                assert world.daemon.poll() is None, "the daemon ended by itself"
                soak.samples.append(sampler.take())
                settlements.read()
        finally:
            over.set()
        for job in jobs:
            job.result()


def settle(soak, world, producer, settlements):
    """Waits until nothing is queued any more, stops the daemon, and looks where everything is."""
    queues = [one["name"] for one in json.loads(management(world.facts["MANAGEMENT_URL"], "queues?columns=name"))]
    waiting = [queue for queue in queues if queue != DEAD_LETTERS]
    deadline = time.monotonic() + DRAIN
    while any(depths(world, waiting).values()) or metric(world, "eventd_messages_in_flight{"):
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    status = Path(f"/proc/{world.daemon.pid}/status").read_text().splitlines()
    soak.peak = next(line for line in status if line.startswith("VmHWM")).split()[1]
    world.daemon.terminate()
    code = world.daemon.wait(PATIENCE)
    settlements.read()
    calls, violations = (json.loads(ask(f"{world.fake}/_fake/{what}")) for what in ("calls", "violations"))
    queued = [letter for queue in waiting for letter in taken_out(world, queue)]
    soak.account = account(producer.events, calls, violations, taken_out(world, DEAD_LETTERS), queued, settlements.times)
    command = [world.programs["mimecast-eventd"], "audit", "verify", world.folder / "audit.jsonl"]
    verified = subprocess.run(command, env=world.environment(), capture_output=True, text=True)
    if code != 0:
        soak.complaints.append(f"the daemon ended with {code}")
    if verified.returncode != 0:
        soak.complaints.append(f"the audit trail is not whole: {verified.stdout} {verified.stderr}")
    soak.complaints.extend(f"the daemon said: {line}" for line in settlements.strange)
    for message, times in settlements.grave.items():
        print(f"logged as an error {times} times: {message}")


def taken_out(world, queue):
    connection = pika.BlockingConnection(pika.URLParameters(world.facts["AMQP_URL"]))
    channel, found = connection.channel(), []
    while (got := channel.basic_get(queue, auto_ack=True))[0]:
        _, properties, body = got
        found.append(Letter(properties.message_id, body, properties.headers or {}))
    connection.close()
    return found


def judge(soak):
    """What is wrong, a line each."""
    wrong = [f"not flat: {it}" for it in soak.findings if not it.is_flat()]
    wrong += [f"lost: {it}" for it in soak.account.lost]
    wrong += [f"unexpected: {it}" for it in soak.account.unexpected]
    if soak.account.queued:
        wrong.append(f"still queued: {soak.account.queued} messages, {DRAIN} s after the last was published")
    return wrong + soak.complaints


def main():
    flags = argparse.ArgumentParser()
    for name in ("--minutes", "--seed", "--rate"):
        flags.add_argument(name, type=int, required=True)
    flags.add_argument("programs", nargs="+")
    given = flags.parse_args()
    soak = Soak(given.minutes, given.seed, given.rate)
    # A node of another RabbitMQ than the installed one sees nothing but /tmp.
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir="/tmp"))
    print(f"the logs are in {folder}, and are deleted if nothing is wrong", flush=True)
    # Or broker, fake and daemon would stay behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("soak.py: stopped"))
    run(soak, given.programs, folder)
    (folder / "samples.json").write_text(json.dumps([asdict(sample) for sample in soak.samples]))
    (folder / "soak.svg").write_text(report.drawn(soak))
    print("\n".join(report.lines(soak)))
    wrong = judge(soak)
    if wrong:
        sys.exit("\n".join([*wrong[:50], f"soak.py: {len(wrong)} things are wrong, see {folder}"]))
    shutil.rmtree(folder)
    if soak.minutes >= FULL:
        report.write(soak)


main()
