"""Holds the dashboard to a daemon at work: every query is read, and what it asks for is in the live /metrics.

usage: check.py [--picture FILE] PROGRAM...

PROGRAM are the built programs: the daemon and the fake are found among them by name. With --picture a Prometheus,
found in PATH, scrapes a longer run, and what it says to each panel is drawn into FILE. That needs Chromium and its
driver.
"""

import json
import sys
import tempfile
from pathlib import Path

from dashboard import PATH, Dashboard
from manifest import Problems
from promql import Exposition, Judge
from story import POLICY, SETTINGS, Story
from world import World, ask, wait_for

# What has to have happened, so that names and labels are of a daemon at work and not of one that idles.
HAPPENED = (
    'eventd_commands_total{operation="remove_group_member",result="applied"}',
    'eventd_commands_total{operation="remove_group_member",result="rejected"}',
    'eventd_commands_total{operation="delete_managed_url",result="not_found"}',
    'eventd_commands_not_found_streak{operation="delete_managed_url"}',
    'eventd_api_retries_total{operation="remove_group_member",outcome="unavailable"}',
    'eventd_messages_dead_lettered_total{event="user.offboarded",reason="malformed"}',
    'eventd_messages_dead_lettered_total{event="user.offboarded",reason="denied"}',
    'eventd_messages_dead_lettered_total{event="url.unblock",reason="expired"}',
    'eventd_policy_decisions_total{rule="protected_addresses"}',
    'eventd_audit_lines',
    'eventd_queue_messages{queue="mimecast-eventd.dead-letter"}',
)
PAUSED = (
    'eventd_lane_paused_by_hand{event="url.unblock"}',
    'eventd_lane_state{event="url.unblock",state="paused"}',
)


def await_series(world, names):
    """The live metrics, once each of these series is above zero."""
    def look():
        metrics = ask(world.admin() + "/metrics")
        values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
        return metrics if all(float(values.get(name, 0)) > 0 for name in names) else None
    return wait_for(f"there is {', '.join(names)}", look)


def work(world, story):
    """Work that succeeds, fails and is paused; what the metrics are at the end of it."""
    story.weather(5)
    story.offboard("leaver")
    story.unblock("unknown", known=False)
    story.flaky()
    story.mistakes()
    await_series(world, HAPPENED)
    story.by_hand("pause", "url.unblock")
    return await_series(world, PAUSED)


def check(metrics):
    problems = Problems()
    dashboard = Dashboard("dashboard", json.loads(Path(PATH).read_text(encoding="utf-8")),
                          Judge(Exposition(metrics), problems))
    dashboard.check()
    dashboard.check_coverage()
    problems.tell("the dashboard and a daemon at work")


def main(folder):
    arguments, picture = sys.argv[1:], None
    if arguments[0] == "--picture":
        picture, arguments = arguments[1], arguments[2:]
    config = folder / "settings.toml"
    config.write_text(POLICY)
    with World(arguments, folder, {**SETTINGS, "CONFIG": str(config), "AUDIT__PATH": str(folder / "audit")}) as world:
        daemons = [(world.daemon, world.environment())]
        story = Story(world, config, daemons)
        check(work(world, story))
        if picture:
            # What it needs is there only then.
            from picture import draw
            draw(world, story, Path(picture))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
