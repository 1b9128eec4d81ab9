"""Asks the daemon itself about what the chart renders.

usage: daemon.py DAEMON FOLDER EXPOSITION

DAEMON is the program, FOLDER has a file of manifests for each file of values. The daemon checks the
settings of each with the arguments, variables and files that its pod would have. Then it is run, without a
broker, its probes are asked, and its metrics are kept in the file EXPOSITION.
"""

import base64
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from manifest import Problems, load, of_kind

CHART = Path("helm/mimecast-eventd")
# What a secret of the user's would hold; under the names of the files in the pod.
THEIRS = {
    "amqp-url": "amqp://127.0.0.1:1/%2f", "amqp-password": "canary", "mimecast-secret-key": "Y2FuYXJ5LWtleQ==",
    "amqp-copy-key": "canary-amqp-copy-key", "log-pseudonym-key": "canary-pseudonym-key",
}


def with_certificate(folder):
    """A certificate with its key, which have to go together, among what a secret would hold."""
    certificate, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/CN=eventd", "-days", "1", "-out", certificate, "-keyout", key],
        check=True, capture_output=True,
    )
    for file in (certificate, key):
        THEIRS[file.name] = file.read_text(encoding="utf-8")
    # It has signed itself.
    THEIRS["ca.crt"] = THEIRS["tls.crt"]


problems = Problems()


class Root:
    """A folder that looks like the pod's root to the daemon."""

    def __init__(self, folder, objects):
        self.folder = Path(folder)
        self.pod = of_kind(objects, "Deployment")[0]["spec"]["template"]["spec"]
        self.container = self.pod["containers"][0]
        test = of_kind(objects, "Pod", "check")
        self.check = test[0]["spec"]["containers"][0] if test else None
        volumes = {volume["name"]: volume for volume in self.pod["volumes"]}
        encrypted = any(volume["name"] == "tls" for volume in self.pod["volumes"])
        # The chart's own; what the user adds is nothing to the settings.
        own = [one for one in self.container["volumeMounts"] if one["name"] in ("config", "secrets", "tls")]
        for mount in own:
            volume = volumes[mount["name"]]
            place = Path(self.moved(mount["mountPath"]))
            place.mkdir(parents=True)
            if mount["name"] == "config":
                config = next(
                    item for item in of_kind(objects, "ConfigMap")
                    if item["metadata"]["name"] == volume["configMap"]["name"]
                )
                for name, text in config["data"].items():
                    (place / name).write_text(self.moved(text), encoding="utf-8")
            for item in volume.get("secret", {}).get("items", []):
                made = {
                    secret["metadata"]["name"]: secret["data"] for secret in of_kind(objects, "Secret")
                }.get(volume["secret"]["secretName"])
                text = THEIRS.get(item["path"], "canary-secret")
                if made:
                    text = base64.b64decode(made[item["key"]]).decode()
                elif item["path"] == "amqp-url" and encrypted:
                    text = text.replace("amqp:", "amqps:")
                file = place / item["path"]
                file.write_text(text, encoding="utf-8")
                # As kubelet does, with the group of the pod.
                file.chmod(0o440)

    def moved(self, text):
        """`text` with the pod's paths as ours."""
        return re.sub(r"/(etc|var/run/secrets)/mimecast-eventd", rf"{self.folder}/\1/mimecast-eventd", text)

    def environment(self):
        """The variables of the pod, as far as they are written down there."""
        variables = self.container.get("env", [])
        return {one["name"]: self.moved(one["value"]) for one in variables if "value" in one}

    def arguments(self, container):
        """The arguments of `container`."""
        # Where it listens is the cluster's business; here any free port will do.
        args = [argument for argument in container["args"] if not argument.startswith("--admin-listen=")]
        return [self.moved(argument) for argument in args]


def settings_are_accepted(daemon, path):
    with tempfile.TemporaryDirectory() as folder:
        root = Root(folder, load(path))
        arguments = root.arguments(root.check)
        if "--offline" not in arguments:
            arguments.append("--offline")
        result = subprocess.run(
            [daemon, *arguments], env=root.environment(), capture_output=True, text=True, check=False
        )
        said = (result.stdout + result.stderr).strip()
        if path.stem == "defaults":
            # Nothing is set: the daemon says what is missing, and nothing else is wrong.
            problems.expect(result.returncode == 64, f"{path.stem}: ends with {result.returncode}: {said}")
            problems.expect("mimecast.auth" in said, f"{path.stem}: the daemon does not miss mimecast.auth: {said}")
        else:
            problems.expect(result.returncode == 0, f"{path.stem}: the daemon refuses the settings: {said}")


def run(daemon, path, exposition):
    with tempfile.TemporaryDirectory() as folder:
        objects = load(path)
        root = Root(folder, objects)
        # No broker is there, and nothing else is to be asked for by mistake.
        url = Path(root.moved("/var/run/secrets/mimecast-eventd/amqp-url"))
        url.chmod(0o640)
        url.write_text(THEIRS["amqp-url"], encoding="utf-8")
        with open(Path(folder, "log"), "w+", encoding="utf-8") as log:
            process = subprocess.Popen(
                [daemon, *root.arguments(root.container), "--admin-listen", "127.0.0.1:0"],
                env=root.environment(), stderr=log,
            )
            try:
                admin = address(process, Path(folder, "log"))
                for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                    asked = root.container[probe]["httpGet"]["path"]
                    wanted = 503 if probe == "readinessProbe" else 200
                    status, _ = get(f"http://{admin}{asked}")
                    problems.expect(status == wanted, f"{probe}: {asked} says {status} without a broker, not {wanted}")
                status, text = get(f"http://{admin}/metrics")
                problems.expect(status == 200, f"/metrics says {status}")
                Path(exposition).write_text(text, encoding="utf-8")
                process.send_signal(signal.SIGTERM)
                status = process.wait(timeout=30)
                problems.expect(status == 0, f"the daemon ends with status {status} after SIGTERM")
            finally:
                process.kill()
                process.wait()


def address(process, log):
    """Where the daemon serves its metrics, as its log says."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines():
            found = re.search(r'"admin":"([^"]+)"', line)
            if found:
                return found[1]
        time.sleep(0.05)
    sys.exit(f"daemon.py: the daemon did not start: {log.read_text(encoding='utf-8')}")


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def values_have_every_setting():
    """The chart's values and schema have the settings of the README's table, which a test holds to the code."""
    readme = Path("README.md").read_text(encoding="utf-8")
    table = readme.split("<!-- settings -->", 1)[1].split("<!-- /settings -->", 1)[0]
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    helpers = (CHART / "templates/_settings.tpl").read_text(encoding="utf-8")
    secrets = dict(re.findall(r"\{name: (\w+), key: ([a-z_.]+),", helpers))
    keys = set()
    for key, default, text in re.findall(r"^\| `(.+?)` \| `\w+` \| (.+?) \| [a-z ]+ \| (.+) \|$", table, re.MULTILINE):
        path = [part.strip('"') for part in re.findall(r'"[^"]+"|[^.]+', key)]
        if text.endswith("Secret."):
            problems.expect(key in secrets.values(), f"the chart has no secret {key}")
            problems.expect(len(dig_schema(schema, path)) == 1, f"the schema lets {key} be a setting")
            continue
        keys.add(tuple(path))
        value = values["config"]
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        problems.expect(value is not None, f"values.yaml has no config.{key}")
        problems.expect(dig_schema(schema, path), f"values.schema.json has no config.{key}")
        # These two differ on purpose: a pod is reached from outside, and has no terminal.
        if key not in ("admin.listen", "log.format"):
            written = "" if default == "–" else default.strip("`")
            ours = value if isinstance(value, str) else json.dumps(value)
            problems.expect(ours == written, f"config.{key} is {ours!r}, the daemon's default {written!r}")
    problems.expect(keys and keys == set(leaves(values["config"])), f"values.yaml has others: {set(leaves(values['config'])) ^ keys}")
    for name in secrets:
        for place in ("keys", "values"):
            problems.expect(name in values["secrets"][place], f"values.yaml has no secrets.{place}.{name}")


def dig_schema(schema, path):
    node = schema["properties"]["config"]
    for part in path:
        while "$ref" in node:
            node = schema["definitions"][node["$ref"].rsplit("/", 1)[1]]
        node = node.get("properties", {}).get(part, {})
    return node


def leaves(tree, path=()):
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def main():
    daemon, folder, exposition = sys.argv[1:]
    values_have_every_setting()
    with tempfile.TemporaryDirectory() as made:
        with_certificate(made)
    run(daemon, Path(folder, "api-1.0.yaml"), exposition)
    for path in sorted(Path(folder).glob("*.yaml")):
        settings_are_accepted(daemon, path)
    problems.tell("the daemon's own word")


if __name__ == "__main__":
    main()
