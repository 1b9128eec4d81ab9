"""Runs each producer against a broker, the daemon and a fake of the vendor's API.

usage: producers.py PROGRAM...

PROGRAM are the built programs: the daemon, the fake and the example in Rust are found among them by name.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PATIENCE = 60
PROGRAMS = {Path(path).name.split("-offboard")[0]: path for path in sys.argv[1:]}
PRODUCERS = {
    "Python": ["python", "docs/producers/offboard.py"],
    "JavaScript": ["node", "docs/producers/offboard.js"],
    "Rust": [PROGRAMS["offboard"]],
    "shell": ["docs/producers/offboard.sh"],
}


def wait_for(what, look):
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        if time.monotonic() > deadline:
            sys.exit(f"producers.py: waited in vain until {what}")
        time.sleep(0.05)
    return found


def ask(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=PATIENCE) as reply:
        return reply.read().decode()


def start(command, log, **options):
    return subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT, **options)


def said(log, start_of_line):
    lines = log.read_text().splitlines()
    return next((line[len(start_of_line):] for line in lines if line.startswith(start_of_line)), None)


def daemon(url, fake):
    settings = {
        "AMQP__URL": url, "MIMECAST__AUTH": "hmac", "MIMECAST__BASE_URL": fake, "ADMIN__LISTEN": "127.0.0.1:0",
        "MIMECAST__ACCESS_KEY": "key", "MIMECAST__SECRET_KEY": "c2VjcmV0", "MIMECAST__APP_ID": "id",
        "MIMECAST__APP_KEY": "app",
    }
    return {**os.environ, **{f"EVENTD_{key}": value for key, value in settings.items()}}


def main(folder):
    node = start(["scripts/broker/node.sh", folder / "node"], folder / "node.log", stdin=subprocess.PIPE)
    fake = start(
        [PROGRAMS["fake-mimecast"], "--access-key", "key", "--secret-key", "c2VjcmV0", "--app-id", "id",
         "--app-key", "app"], folder / "fake.log")
    running = [fake]
    try:
        wait_for("the node is ready", lambda: "READY" in (folder / "node.log").read_text().splitlines())
        facts = dict(line.split("=", 1) for line in (folder / "node.log").read_text().splitlines() if "=" in line)
        address = wait_for("the fake listens", lambda: said(folder / "fake.log", "listening on "))
        log = folder / "daemon.log"
        running.append(start([PROGRAMS["mimecast-eventd"], "run"], log, env=daemon(facts["AMQP_URL"], address)))
        wait_for("the daemon consumes", lambda: log.read_text().count('"message":"consuming"') == 2)
        management = facts["MANAGEMENT_URL"].replace("http://", "http://guest:guest@")
        env = {**os.environ, "AMQP_URL": facts["AMQP_URL"], "MANAGEMENT_URL": management}
        ask(f"{address}/_fake/groups", {"id": "id-of-vip", "name": "VIP mailing"})
        for name, command in PRODUCERS.items():
            if name == "shell" and not shutil.which("curl"):
                print("    shell: not run, there is no curl")
                continue
            who = f"{name.lower()}@example.com"
            ask(f"{address}/_fake/members", {"group": "id-of-vip", "member": who})
            subprocess.run([*command, who, "VIP mailing"], env=env, check=True, stdout=subprocess.DEVNULL)
            wait_for(f"{name}'s event is carried out",
                     lambda who=who: who not in json.loads(ask(f"{address}/_fake/members"))["id-of-vip"])
            # amq.topic is always there, and nothing is bound to it.
            unbound = subprocess.run([*command, who, "VIP mailing"], env={**env, "AMQP_EXCHANGE": "amq.topic"},
                                     check=False, capture_output=True, text=True)
            if unbound.returncode == 0 or "no queue is bound" not in unbound.stderr:
                sys.exit(f"producers.py: {name} does not tell that no queue is bound: {unbound}")
            print(f"    {name}: carried out, and told where no queue is bound")
        if json.loads(ask(f"{address}/_fake/violations")):
            sys.exit("producers.py: the fake met what a well-behaved client never sends")
    finally:
        for process in running:
            process.terminate()
        node.stdin.close()
        for process in [*running, node]:
            process.wait(PATIENCE)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
