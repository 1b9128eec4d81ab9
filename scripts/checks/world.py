"""A broker, a fake of the vendor's API and the daemon, started for a check and ended with it."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

PATIENCE = 60


def wait_for(what, look):
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain until {what}")
        time.sleep(0.05)
    return found


def ask(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=PATIENCE) as reply:
        return reply.read().decode()


def management(url, path, method="GET"):
    """What the management API of a private node at `url` answers."""
    login = {"Authorization": "Basic Z3Vlc3Q6Z3Vlc3Q="}
    request = urllib.request.Request(f"{url}/api/{path}", headers=login, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        return reply.read().decode()


def start(command, log, **options):
    return subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT, **options)


def start_node(folder):
    """Starts a private broker in `folder`; it lives until its standard input is closed."""
    return start(["cargo", "xtask", "node", folder / "node"], folder / "node.log", stdin=subprocess.PIPE)


def await_node(folder):
    """The facts about the broker in `folder`, such as AMQP_URL, once it is ready."""
    log = folder / "node.log"
    wait_for("the node is ready", lambda: "READY" in log.read_text().splitlines())
    return dict(line.split("=", 1) for line in log.read_text().splitlines() if "=" in line)


def start_fake(program, folder):
    """Starts a fake of the Mimecast API."""
    keys = ["--access-key", "key", "--secret-key", "c2VjcmV0", "--app-id", "id", "--app-key", "app"]
    return start([program, *keys], folder / "fake.log")


def await_fake(folder):
    """The URL of the fake, once it listens."""
    return wait_for("the fake listens", lambda: said(folder / "fake.log", "listening on "))


def daemon_settings(amqp_url, fake_url, **more):
    """The variables of a daemon that uses this broker and this fake."""
    settings = {
        "AMQP__URL": amqp_url, "MIMECAST__AUTH": "hmac", "MIMECAST__BASE_URL": fake_url, "MIMECAST__ACCESS_KEY": "key",
        "MIMECAST__SECRET_KEY": "c2VjcmV0", "MIMECAST__APP_ID": "id", "MIMECAST__APP_KEY": "app",
        "ADMIN__LISTEN": "127.0.0.1:0", **more,
    }
    return {f"EVENTD_{key}": value for key, value in settings.items()}


def said(log, start_of_line):
    lines = log.read_text().splitlines()
    return next((line[len(start_of_line):] for line in lines if line.startswith(start_of_line)), None)


def admin(log):
    started = next(line for line in log.read_text().splitlines() if '"message":"started"' in line)
    return "http://" + json.loads(started)["admin"]


class World:
    """All of it runs within the block. `programs` are the built programs, `folder` is for what they write."""

    def __init__(self, programs, folder, settings=None):
        self.programs = {Path(path).name.split("-offboard")[0]: path for path in programs}
        self.folder, self.settings, self.running = Path(folder), settings or {}, []

    def __enter__(self):
        folder = self.folder
        self.node = start_node(folder)
        self.running.append(start_fake(self.programs["fake-mimecast"], folder))
        try:
            self.facts, self.fake = await_node(folder), await_fake(folder)
            self.log = folder / "daemon.log"
            self.daemon = start([self.programs["mimecast-eventd"], "run"], self.log, env=self.environment())
            self.running.append(self.daemon)
            wait_for("the daemon consumes", lambda: self.log.read_text().count('"message":"consuming"') >= 2)
        except BaseException:
            self.__exit__()
            raise
        return self

    def environment(self):
        """The daemon's settings, as variables."""
        variables = daemon_settings(self.facts["AMQP_URL"], self.fake, **self.settings)
        return {**os.environ, "XDG_RUNTIME_DIR": str(self.folder), **variables}

    def another_daemon(self, name, **more):
        """Runs one more until the world ends, and has the URL of its admin endpoints and its variables."""
        folder = self.folder / name
        folder.mkdir()
        variables = {**self.environment(), "XDG_RUNTIME_DIR": str(folder), **more}
        daemon = start([self.programs["mimecast-eventd"], "run"], folder / "log", env=variables)
        self.running.append(daemon)
        wait_for(f"{name} consumes", lambda: (folder / "log").read_text().count('"message":"consuming"') >= 2)
        return daemon, admin(folder / "log"), variables

    def admin(self):
        """The URL of the admin endpoints."""
        return admin(self.log)

    def __exit__(self, *_):
        for process in self.running:
            process.terminate()
        self.node.stdin.close()
        for process in [*self.running, self.node]:
            process.wait(PATIENCE)
