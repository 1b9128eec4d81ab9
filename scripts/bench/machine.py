"""What a measurement ran on."""

import json
import os
import platform
import urllib.request
from base64 import b64encode
from pathlib import Path


def machine():
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    return f"{os.cpu_count()} processors ({model}), {memory:.0f} GiB, Linux {platform.release()}"


def broker_version(management_url):
    """The version of a private node's RabbitMQ."""
    login = {"authorization": f"Basic {b64encode(b'guest:guest').decode()}"}
    request = urllib.request.Request(f"{management_url}/api/overview", headers=login)
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)["rabbitmq_version"]
