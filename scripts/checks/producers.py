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

from world import World, ask, wait_for


def main(folder):
    with World(sys.argv[1:], folder) as world:
        producers = {
            "Python": ["python", "docs/producers/offboard.py"],
            "JavaScript": ["node", "docs/producers/offboard.js"],
            "Rust": [world.programs["offboard"]],
            "shell": ["docs/producers/offboard.sh"],
        }
        management = world.facts["MANAGEMENT_URL"].replace("http://", "http://guest:guest@")
        env = {**os.environ, "AMQP_URL": world.facts["AMQP_URL"], "MANAGEMENT_URL": management}
        fake = world.fake
        ask(f"{fake}/_fake/groups", {"id": "id-of-vip", "name": "VIP mailing"})
        for name, command in producers.items():
            if name == "shell" and not shutil.which("curl"):
                print("    shell: not run, there is no curl")
                continue
            who = f"{name.lower()}@example.com"
            ask(f"{fake}/_fake/members", {"group": "id-of-vip", "member": who})
            subprocess.run([*command, who, "VIP mailing"], env=env, check=True, stdout=subprocess.DEVNULL)
            wait_for(f"{name}'s event is carried out",
                     lambda who=who: who not in json.loads(ask(f"{fake}/_fake/members"))["id-of-vip"])
            # amq.topic is always there, and nothing is bound to it.
            unbound = subprocess.run([*command, who, "VIP mailing"], env={**env, "AMQP_EXCHANGE": "amq.topic"},
                                     check=False, capture_output=True, text=True)
            if unbound.returncode == 0 or "no queue is bound" not in unbound.stderr:
                sys.exit(f"producers.py: {name} does not tell that no queue is bound: {unbound}")
            print(f"    {name}: carried out, and told where no queue is bound")
        if json.loads(ask(f"{fake}/_fake/violations")):
            sys.exit("producers.py: the fake met what a well-behaved client never sends")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(name)
