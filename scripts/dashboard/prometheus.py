"""A Prometheus that scrapes for a picture, and what it says."""

import json
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import yaml

from world import PATIENCE, start, wait_for

SCRAPE = 1  # second


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Prometheus:
    """Runs within the block. `targets` are addresses, `labels` what their series get beside the usual."""

    def __init__(self, program, folder, job, labels, targets):
        self.program, self.folder, self.url = program, folder, f"http://127.0.0.1:{free_port()}"
        jobs = [{"job_name": job, "static_configs": [{"targets": targets, "labels": labels}]}]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": f"{SCRAPE}s", "scrape_timeout": f"{SCRAPE}s"}, "scrape_configs": jobs}))

    def __enter__(self):
        command = [self.program, f"--config.file={self.folder}/prometheus.yaml",
                   f"--storage.tsdb.path={self.folder}/series", "--log.level=warn",
                   f"--web.listen-address={self.url.removeprefix('http://')}"]
        self.process = start(command, self.folder / "prometheus.log")
        try:
            wait_for("Prometheus is ready", self.is_ready)
        except BaseException:
            self.__exit__()
            raise
        return self

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as reply:
                return reply.status == 200
        except urllib.error.URLError:
            return False

    def ask(self, path, **parameters):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as reply:
            return json.load(reply)["data"]["result"]

    def over_time(self, query, begin, end, step):
        """Pairs of labels and values by time; times without a value are left out."""
        found = self.ask("query_range", query=query, start=begin, end=end, step=step)
        return [(one["metric"], {time: float(value) for time, value in one["values"]}) for one in found]

    def at(self, query, time):
        found = self.ask("query", query=query, time=time)
        return [(one["metric"], {one["value"][0]: float(one["value"][1])}) for one in found]

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
