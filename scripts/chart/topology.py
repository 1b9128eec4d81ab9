"""Makes what the topology operator would make on a real broker, and asks the daemon whether it is right.

usage: topology.py DAEMON MANIFESTS

The operator talks to RabbitMQ's management API, and so does this, in the same words. The daemon, set to
verify, then has to find every exchange and queue, with the arguments that it would declare itself.
"""

import base64
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from urllib.parse import quote

from manifest import Problems, load, of_kind
from world import await_node, start_node

problems = Problems()


class Broker:
    """A node of RabbitMQ that ends with the block."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.process = start_node(Path(self.folder.name))
        self.facts = await_node(Path(self.folder.name))
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()

    def put(self, method, path, body):
        request = urllib.request.Request(
            f"{self.facts['MANAGEMENT_URL']}/api/{path}", json.dumps(body).encode(), method=method, headers={
                "content-type": "application/json",
                "authorization": "Basic " + base64.b64encode(b"guest:guest").decode(),
            },
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            problems.expect(reply.status in (201, 204), f"{method} {path}: {reply.status}")


def make(broker, objects):
    # The operator comes back to a binding until both of its ends are there.
    for item in of_kind(objects, "Exchange") + of_kind(objects, "Queue") + of_kind(objects, "Binding"):
        spec, vhost = item["spec"], quote(item["spec"]["vhost"], safe="")
        common = {
            "durable": spec.get("durable"), "auto_delete": spec.get("autoDelete"), "arguments": spec.get("arguments", {}),
        }
        if item["kind"] == "Exchange":
            name = quote(spec["name"], safe="")
            broker.put("PUT", f"exchanges/{vhost}/{name}", {**common, "type": spec["type"]})
        elif item["kind"] == "Queue":
            name = quote(spec["name"], safe="")
            common["arguments"] = {**common["arguments"], "x-queue-type": spec["type"]}
            broker.put("PUT", f"queues/{vhost}/{name}", common)
        else:
            source, destination = quote(spec["source"], safe=""), quote(spec["destination"], safe="")
            path = f"bindings/{vhost}/e/{source}/q/{destination}"
            broker.put("POST", path, {"routing_key": spec["routingKey"], "arguments": {}})


def verdict(daemon, broker, objects, vhost):
    """What the daemon says about the topology."""
    config = next(item["data"] for item in of_kind(objects, "ConfigMap") if "mimecast-eventd.toml" in item["data"])
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(config["mimecast-eventd.toml"])
        file.flush()
        url = broker.facts["AMQP_URL"].rsplit("/", 1)[0] + "/" + quote(vhost, safe="")
        # The vendor is nowhere: only the broker is asked about.
        result = subprocess.run(
            [daemon, "check", "--json", "--config", file.name], capture_output=True, text=True, check=False, timeout=60, env={
                "EVENTD_AMQP__URL": url, "EVENTD_MIMECAST__BASE_URL": "https://127.0.0.1:1",
                "EVENTD_MIMECAST__CLIENT_ID": "canary-client", "EVENTD_MIMECAST__CLIENT_SECRET": "canary-secret",
            },
        )
    verdicts = [json.loads(line) for line in result.stdout.splitlines()]
    return [verdict for verdict in verdicts if verdict["group"] == "broker"], result


def main():
    daemon, path = sys.argv[1:]
    objects = load(Path(path))
    vhost = of_kind(objects, "Queue")[0]["spec"]["vhost"]
    made = [item for item in objects if item["kind"] in ("Exchange", "Queue")]
    with Broker() as broker:
        broker.put("PUT", f"vhosts/{quote(vhost, safe='')}", {})
        all_of_it = {"configure": ".*", "write": ".*", "read": ".*"}
        broker.put("PUT", f"permissions/{quote(vhost, safe='')}/guest", all_of_it)
        found, _ = verdict(daemon, broker, objects, vhost)
        missing = [verdict for verdict in found if verdict["reason"].startswith("NOT_FOUND")]
        problems.expect(len(missing) == len(made), f"the daemon wants {len(missing)} things, the chart makes {len(made)}")
        make(broker, objects)
        found, result = verdict(daemon, broker, objects, vhost)
        said = result.stdout + result.stderr
        problems.expect(found and {verdict["verdict"] for verdict in found} == {"ok"}, f"the daemon is not content: {said}")
    problems.tell("exchanges and queues on a broker")


if __name__ == "__main__":
    main()
