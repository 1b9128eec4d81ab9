"""Waits for one fact about the composition that runs, and says what it saw.

usage: facts.py FACT

FACT is one of the functions at the end. It is waited for; what is still the matter after a minute and a half is
on standard error, and the exit status is 1.
"""

import base64
import json
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PATIENCE = 90
DAEMON, FAKE = "http://127.0.0.1:9464", "http://127.0.0.1:8080"
PROMETHEUS, GRAFANA = "http://127.0.0.1:9090", "http://127.0.0.1:3000"
# Whatever the environment says of proxies: all of it is on loopback.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Wrong(Exception):
    """What is the matter."""


def expect(holds, what):
    if not holds:
        raise Wrong(what)


def get(url, user=None):
    """The status and the text of the reply."""
    request = urllib.request.Request(url)
    if user:
        request.add_header("Authorization", "Basic " + base64.b64encode(user.encode()).decode())
    try:
        with OPENER.open(request, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        raise Wrong(f"{url} does not answer: {error}") from error


def ask(url, user=None):
    status, text = get(url, user)
    expect(status == 200, f"{url} answers {status}: {text.strip()[:300]}")
    return json.loads(text)


def ready():
    status, text = get(f"{DAEMON}/readyz")
    expect(status == 200, f"the daemon is not ready: {text.strip()}")
    return "the daemon is ready"


def paused():
    status, text = get(f"{DAEMON}/readyz")
    expect(status == 503 and "paused" in text, f"the daemon is not paused: {status}, {text.strip()}")
    return "the daemon is paused"


def applied():
    members = ask(f"{FAKE}/_fake/members")
    expect("ada@example.com" not in json.dumps(members), f"the fake still has the member: {members}")
    calls = ask(f"{FAKE}/_fake/calls")
    expect("ada@example.com" in json.dumps(calls), f"the fake was not asked for it: {calls}")
    _, metrics = get(f"{DAEMON}/metrics")
    settled = re.findall(r"^eventd_messages_settled_total\{(.*)\} ([1-9]\d*)$", metrics, re.MULTILINE)
    expect(settled == [('disposition="ack",event="user.offboarded"', "1")],
           f"the daemon has not one message that was applied, but: {settled}")
    return "the fake has applied the event"


def scraped():
    text = Path("config/compose/prometheus.yaml").read_text(encoding="utf-8")
    jobs = set(re.findall(r"^ *- job_name: (\S+)$", text, re.MULTILINE))
    targets = ask(f"{PROMETHEUS}/api/v1/targets?state=active")["data"]["activeTargets"]
    found = {target["labels"]["job"] for target in targets}
    expect(jobs and found == jobs, f"Prometheus has the jobs {sorted(found)}, not {sorted(jobs)}")
    for target in targets:
        expect(target["health"] == "up", f"the target {target['scrapeUrl']} is {target['health']}: {target['lastError']}")
    return "Prometheus reaches " + ", ".join(sorted(target["scrapeUrl"] for target in targets))


def rules():
    groups = ask(f"{PROMETHEUS}/api/v1/rules")["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts():
    text = Path("helm/mimecast-eventd/files/alerts.yaml").read_text(encoding="utf-8")
    wanted, found = re.findall(r"^ *- alert: (\S+)$", text, re.MULTILINE), rules()
    names = [rule["name"] for rule in found]
    expect(wanted and sorted(names) == sorted(wanted), f"Prometheus has the alerts {names}, not {wanted}")
    for rule in found:
        expect(rule["health"] == "ok", f"the alert {rule['name']} is {rule['health']}: {rule.get('lastError', '')}")
    return f"Prometheus has evaluated all {len(found)} alerts"


def quiet():
    """What was raised meanwhile goes when a lane is resumed."""
    raised = [rule["name"] for rule in rules() if rule["state"] != "inactive"]
    expect(not raised, f"alerts are raised: {raised}")
    return "no alert is raised"


def grafana():
    wanted = json.loads(Path("helm/mimecast-eventd/files/dashboard.json").read_text(encoding="utf-8"))
    # Whoever looks is nobody it knows.
    shown = ask(f"{GRAFANA}/api/dashboards/uid/{wanted['uid']}")["dashboard"]
    expect(len(shown["panels"]) == len(wanted["panels"]), f"Grafana's dashboard has {len(shown['panels'])} panels")
    home = ask(f"{GRAFANA}/api/dashboards/home")
    expect(home.get("dashboard", {}).get("title") == wanted["title"], f"Grafana does not begin with it: {str(home)[:300]}")
    health = ask(f"{GRAFANA}/api/datasources/uid/prometheus/health", user="admin:admin")
    expect(health.get("status") == "OK", f"Grafana does not reach Prometheus: {health}")
    return "Grafana shows the dashboard and reaches Prometheus"


def main(fact):
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return print(fact())
        except (Wrong, KeyError, ValueError) as error:
            if time.monotonic() > deadline:
                sys.exit(f"{error if isinstance(error, Wrong) else repr(error)} (after {PATIENCE} s)")
        time.sleep(0.5)


if __name__ == "__main__":
    main({one.__name__: one for one in (ready, paused, applied, scraped, alerts, quiet, grafana)}[sys.argv[1]])
