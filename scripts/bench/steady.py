"""What the daemon is like when there is little to do: latency, start, idle, dead letters."""

import json
import subprocess
import time

import pika

from drain import is_idle
from rig import QUEUE
from world import wait_for

DEAD_LETTERS = "mimecast-eventd.dead-letter"


def latencies(rig, name, messages, rate, api_ms):
    """Milliseconds from publish to ack as a relay sees it, less the API's, of messages that come steadily."""
    rig.channel.queue_purge(QUEUE)
    rig.measure(api_ms)
    pace = subprocess.Popen(
        [rig.programs["floor"], "pace", QUEUE, "--messages", str(messages), "--rate", str(rate)],
        env={"AMQP_URL": rig.url}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = pace.stdout.readline().rpartition(" ")[2].strip()
    broker = rig.url
    rig.url = f"amqp://guest:guest@127.0.0.1:{port}/%2f"
    process = rig.run(name, 64)
    rig.url = broker
    wait_for(f"{name} consumes", lambda: rig.consumers() == 1)
    pace.stdin.write("now\n")
    pace.stdin.flush()
    took = json.loads(pace.stdout.readline())
    pace.wait(60)
    process.stop()
    # The first ones open connections, and the daemon takes one at a time until one is done.
    return [microseconds / 1000 - api_ms for microseconds in took[messages // 20:]]


def start(rig):
    """Milliseconds from the start of the daemon to the first ack; everything is there already."""
    rig.fill(1)
    rig.measure()
    began = time.monotonic()
    process = rig.run("daemon", 64)
    while rig.settled(process) == 0:
        time.sleep(0.002)
    took = (time.monotonic() - began) * 1000
    process.stop()
    return took


def idle(rig, seconds=60):
    """Per cent of a processor that the daemon needs to do nothing, and MiB that it has then."""
    process = rig.run("daemon", 64)
    wait_for("the daemon consumes", lambda: process.log.read_text().count('"message":"consuming"') >= 2)
    wait_for("it has started", lambda: is_idle(process))
    before = sum(process.cpu())
    time.sleep(seconds)
    used = sum(process.cpu()) - before
    resident = process.resident()
    process.stop()
    return 100 * used / seconds, resident


def dead_letters(rig, letters):
    """Seconds in which so many are listed, and sent back to their lane."""
    rig.channel.queue_purge(DEAD_LETTERS)
    rig.channel.queue_purge(QUEUE)
    for number in range(letters):
        headers = {"x-eventd-reason": "rejected", "x-eventd-code": "err_xdk_unknown", "x-eventd-queue": QUEUE,
                   "x-eventd-routing-key": "user.offboarded", "x-eventd-exchange": "events"}
        properties = pika.BasicProperties(headers=headers, delivery_mode=2, message_id=f"m-{number}")
        body = json.dumps({"emailAddress": f"user{number}@example.com", "groupIds": ["group"]}).encode()
        rig.channel.basic_publish("", DEAD_LETTERS, body, properties)
    wait_for("they wait", lambda: rig.depth(DEAD_LETTERS) == letters)
    took = []
    for act in (["list", "--json"], ["replay"]):
        began = time.monotonic()
        command = [rig.programs["mimecast-eventd"], "dlq", *act]
        done = subprocess.run(command, env=rig.settings(64), stdout=subprocess.PIPE, check=False)
        assert done.returncode == 0, f"{command} ended with {done.returncode}"
        took.append(time.monotonic() - began)
        if act[0] == "list":
            assert len(done.stdout.splitlines()) == letters, f"{len(done.stdout.splitlines())} were listed"
    assert rig.depth(DEAD_LETTERS) == 0 and rig.depth() == letters, "not all went back"
    rig.channel.queue_purge(QUEUE)
    return took
