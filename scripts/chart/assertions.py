"""Holds rendered manifests to what neither Helm nor a schema looks at.

usage: assertions.py FOLDER

FOLDER has a folder for each Helm, in it one for each Kubernetes version such as 1.25, and in
that a file of manifests for each file of values.
"""

import base64
import json
import re
import sys
from pathlib import Path

import kubernetes_validate

from manifest import Problems, containers, load, of_kind, pods

CHART = Path("helm/mimecast-eventd")
# What the chart is installed into by cluster.sh, which no helm renders.
SURROUNDINGS = Path("scripts/chart/cluster/surroundings.yaml")
# Groups whose objects have schemas of their own; what is in none of them is Kubernetes's.
CUSTOM = ("monitoring.coreos.com", "keda.sh", "external-secrets.io", "rabbitmq.com")
SELECTOR = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}
# What the values in ci/ call their secrets, so that they can be found where they should not be.
CANARY = re.compile("canary|Y2FuYXJ5", re.IGNORECASE)
# Volume types that the restricted Pod Security Standard allows.
VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected",
    "secret",
}

problems = Problems()
expect = problems.expect


def main():
    selectors, graces, rendered = {}, {}, {}
    for path in sorted(Path(sys.argv[1]).glob("*/*/*.yaml")):
        where = f"{path.parent.parent.name}, Kubernetes {path.parent.name}, {path.stem}"
        objects = load(path)
        first = rendered.setdefault((path.parent.name, path.stem), objects)
        expect(first == objects, f"{where}: another Helm renders something else")
        names_are_unique(where, objects)
        follows_the_schema(where, objects, path.parent.name)
        nothing_secret_outside_secrets(where, objects)
        for name, pod in pods(objects):
            spec = pod["spec"]
            here = f"{where}: {name}"
            is_restricted(here, spec)
            is_modest(here, spec)
            refers_to_what_is_there(here, spec, objects)
            for container in containers(pod):
                environment_is_unique(f"{here}, container {container['name']}", container)
                mounts_are_sound(f"{here}, container {container['name']}", container, spec)
        deployment = of_kind(objects, "Deployment")[0]
        settings_match(where, deployment, objects)
        monitors_match(where, deployment, objects)
        network_covers_the_pods(where, objects)
        test_pod_is_like_the_daemon(where, deployment, objects)
        topology_is_of_a_piece(where, objects)
        selector = deployment["spec"]["selector"]["matchLabels"]
        expect(set(selector) == SELECTOR, f"{where}: the selector is {sorted(selector)}, and may never change")
        selectors.setdefault(path.stem, set()).add(json.dumps(selector, sort_keys=True))
        graces[path.stem] = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    for name, found in selectors.items():
        expect(len(found) == 1, f"{name}: the selector differs between versions: {found}")
    common = {next(iter(found)) for name, found in selectors.items() if name != "everything-on"}
    expect(len(common) == 1, f"the selector depends on values that do not name the objects: {common}")
    # Worked out by hand from drain_timeout and the margin: 25s + 10, 1m30s + 10, 2m + 20.
    expected = {"defaults": 35, "existing-secret": 100, "everything-on": 140}
    for name, seconds in expected.items():
        expect(graces.get(name) == seconds, f"{name}: the grace period is {graces.get(name)}, not {seconds}")
    for version in {version for version, _ in rendered}:
        follows_the_schema(f"{SURROUNDINGS}, Kubernetes {version}", load(SURROUNDINGS), version)
    chart_and_program_agree()
    problems.tell("manifests")


def names_are_unique(where, objects):
    seen = set()
    for item in objects:
        meta = item["metadata"]
        key = (item["apiVersion"], item["kind"], meta.get("namespace"), meta["name"])
        expect(key not in seen, f"{where}: {key} is there twice")
        seen.add(key)
        expect(len(meta["name"]) <= 253, f"{where}: the name {meta['name']} is too long")
        for label, value in meta.get("labels", {}).items():
            fits = re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", value)
            expect(fits, f"{where}: {item['kind']} has the label {label}={value!r}, which is not one")


def follows_the_schema(where, objects, version, expect=expect):
    for item in objects:
        if item["apiVersion"].startswith(CUSTOM):
            continue
        try:
            kubernetes_validate.validate(item, version, strict=True)
            expect(True, "")
        except kubernetes_validate.ValidationError as error:
            path = ".".join(str(part) for part in error.path)
            expect(False, f"{where}: {item['kind']} {item['metadata']['name']}: {path}: {error.message}")
        except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.InvalidSchemaError) as error:
            expect(False, f"{where}: {item['apiVersion']} {item['kind']} has no schema: {error}")


def nothing_secret_outside_secrets(where, objects):
    for item in objects:
        found = None if item["kind"] == "Secret" else CANARY.search(json.dumps(item))
        expect(not found, f"{where}: a secret is in {item['kind']} {item['metadata']['name']}")
    for secret in of_kind(objects, "Secret"):
        for key, value in secret["data"].items():
            expect(base64.b64decode(value, validate=True), f"{where}: the secret's {key} is empty")


def is_restricted(here, spec):
    """The rules of the restricted Pod Security Standard."""
    pod = spec.get("securityContext", {})
    for flag in ("hostNetwork", "hostPID", "hostIPC"):
        expect(not spec.get(flag), f"{here}: {flag} is on")
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        expect(kinds <= VOLUMES, f"{here}: the volume {volume['name']} is of type {kinds}")
    expect(not pod.get("sysctls"), f"{here}: sets sysctls")
    for container in containers({"spec": spec}):
        one = container.get("securityContext", {})
        name = f"{here}, container {container['name']}"
        expect(not one.get("privileged"), f"{name}: is privileged")
        expect(one.get("allowPrivilegeEscalation") is False, f"{name}: may escalate its privileges")
        expect(one.get("capabilities", {}).get("drop") == ["ALL"], f"{name}: keeps capabilities")
        added = set(one.get("capabilities", {}).get("add", []))
        expect(added <= {"NET_BIND_SERVICE"}, f"{name}: adds the capabilities {added}")
        expect(one.get("runAsNonRoot", pod.get("runAsNonRoot")) is True, f"{name}: may run as root")
        expect(one.get("runAsUser", pod.get("runAsUser")) != 0, f"{name}: runs as root")
        seccomp = one.get("seccompProfile", pod.get("seccompProfile", {})).get("type")
        expect(seccomp in ("RuntimeDefault", "Localhost"), f"{name}: has the seccomp profile {seccomp}")
        expect(one.get("procMount", "Default") == "Default", f"{name}: has another procMount")
        expect(not any(port.get("hostPort") for port in container.get("ports", [])), f"{name}: has a host port")


def is_modest(here, spec):
    """More than the standard asks for."""
    expect(spec.get("automountServiceAccountToken") is False, f"{here}: gets a token")
    expect(spec.get("enableServiceLinks") is False, f"{here}: gets variables of Services, such as EVENTD_…")
    for container in containers({"spec": spec}):
        name = f"{here}, container {container['name']}"
        read_only = container.get("securityContext", {}).get("readOnlyRootFilesystem")
        expect(read_only is True, f"{name}: can write to its root file system")


def refers_to_what_is_there(here, spec, objects):
    """What a pod names is made by the chart, or named by the values in ci/ as the user's."""
    made = {(item["kind"], item["metadata"]["name"]) for item in objects}
    for item in of_kind(objects, "ExternalSecret"):
        made.add(("Secret", item["spec"].get("target", {}).get("name")))
    theirs = {
        ("Secret", "demo-mimecast"), ("Secret", "mimecast-eventd"), ("Secret", "demo-tls"),
        ("Secret", "mimecast-eventd-tls"), ("ConfigMap", "private-roots"), ("ConfigMap", "proxy"),
    }
    wanted = []
    for volume in spec.get("volumes", []):
        if "secret" in volume:
            wanted.append(("Secret", volume["secret"]["secretName"]))
        if "configMap" in volume:
            wanted.append(("ConfigMap", volume["configMap"]["name"]))
    for container in containers({"spec": spec}):
        for source in container.get("envFrom", []):
            for kind, field in (("Secret", "secretRef"), ("ConfigMap", "configMapRef")):
                if field in source:
                    wanted.append((kind, source[field]["name"]))
        for variable in container.get("env", []):
            source = variable.get("valueFrom", {})
            for kind, field in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
                if field in source:
                    wanted.append((kind, source[field]["name"]))
    for one in wanted:
        expect(one in made | theirs, f"{here}: {one[0]} {one[1]} is neither made nor the user's")
    for item in of_kind(objects, "Secret"):
        for volume in spec.get("volumes", []):
            if volume.get("secret", {}).get("secretName") == item["metadata"]["name"]:
                keys = {entry["key"] for entry in volume["secret"]["items"]}
                expect(keys <= set(item["data"]), f"{here}: mounts {keys}, the secret has {set(item['data'])}")
    account = spec["serviceAccountName"]
    expect(("ServiceAccount", account) in made, f"{here}: the service account {account} is not made")


def environment_is_unique(here, container):
    names = [variable["name"] for variable in container.get("env", [])]
    for name in names:
        expect(names.count(name) == 1, f"{here}: {name} is there twice")
    for variable in container.get("env", []):
        if variable["name"].startswith("EVENTD_"):
            expect(variable["name"].endswith("_FILE"), f"{here}: {variable['name']} is not a file's")


def mounts_are_sound(here, container, spec):
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
    for mount in container.get("volumeMounts", []):
        expect(mount["name"] in volumes, f"{here}: mounts {mount['name']}, which is no volume")
        expect("subPath" not in mount, f"{here}: {mount['mountPath']} is a subPath, which never changes")
        expect(paths.count(mount["mountPath"]) == 1, f"{here}: {mount['mountPath']} is there twice")
        volume = volumes.get(mount["name"], {})
        if "secret" in volume:
            expect(mount.get("readOnly") is True, f"{here}: {mount['mountPath']} can be written to")
            expect(volume["secret"].get("defaultMode") == 0o400, f"{here}: {mount['name']} is not of mode 0400")
            group = spec.get("securityContext", {}).get("fsGroup")
            expect(group, f"{here}: without an fsGroup only root could read {mount['name']}")
        if "emptyDir" in volume and mount["name"] == "runtime":
            limit = volume["emptyDir"].get("sizeLimit")
            expect(limit, f"{here}: {mount['mountPath']} may fill the node")
    for variable in container.get("env", []):
        if variable["name"].startswith("EVENTD_"):
            path = Path(variable["value"])
            mount = next((m for m in container["volumeMounts"] if m["mountPath"] == str(path.parent)), None)
            expect(mount, f"{here}: {variable['name']} is in no mounted folder")
            if mount:
                files = [item["path"] for item in volumes[mount["name"]]["secret"]["items"]]
                expect(path.name in files, f"{here}: {variable['name']} names {path.name}, mounted are {files}")
    ports = [port["name"] for port in container.get("ports", [])]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        port = container.get(probe, {}).get("httpGet", {}).get("port")
        if port is not None:
            expect(port in ports, f"{here}: {probe} asks the port {port}, there are {ports}")


def settings_match(where, deployment, objects):
    """The port and the folder of the settings, which are written down in two places."""
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    config = next(item for item in of_kind(objects, "ConfigMap") if "mimecast-eventd.toml" in item["data"])
    listen = re.search(r'^listen = ".*:(\d+)"$', config["data"]["mimecast-eventd.toml"], re.MULTILINE)
    port = container["ports"][0]["containerPort"]
    expect(listen and int(listen[1]) == port, f"{where}: the daemon does not listen on {port}")
    expect("/etc/mimecast-eventd/mimecast-eventd.toml" in container["args"], f"{where}: {container['args']}")
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    expect("checksum/config" in annotations, f"{where}: changed settings make no new pods")
    made = of_kind(objects, "Secret")
    expect(bool(made) == ("checksum/secret" in annotations), f"{where}: changed secrets make no new pods")
    scaled = of_kind(objects, "ScaledObject")
    expect(bool(scaled) != ("replicas" in deployment["spec"]), f"{where}: who says how many pods there are?")
    if scaled:
        lanes = re.findall(r"^queue = (\".*\")$", config["data"]["mimecast-eventd.toml"], re.MULTILINE)
        triggers = [one["metadata"] for one in scaled[0]["spec"]["triggers"] if one["type"] == "rabbitmq"]
        queues = [one["queueName"] for one in triggers]
        expect(queues == [json.loads(lane) for lane in lanes], f"{where}: KEDA looks at {queues}")
        for one in triggers:
            expect(one["protocol"] == "http", f"{where}: KEDA would not count unacked messages")


def monitors_match(where, deployment, objects):
    """Monitors and Service select the daemon's pods, and ask ports that are there."""
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    ports = [port["name"] for port in deployment["spec"]["template"]["spec"]["containers"][0]["ports"]]
    selector = deployment["spec"]["selector"]["matchLabels"]
    expect(selector.items() <= labels.items(), f"{where}: the selector misses the pods")
    for service in of_kind(objects, "Service"):
        expect(service["spec"]["selector"] == selector, f"{where}: the Service selects something else")
        for port in service["spec"]["ports"]:
            expect(port["targetPort"] in ports, f"{where}: the Service leads to {port['targetPort']}")
    for monitor in of_kind(objects, "ServiceMonitor"):
        service = of_kind(objects, "Service")[0]
        wanted = monitor["spec"]["selector"]["matchLabels"]
        expect(wanted.items() <= service["metadata"]["labels"].items(), f"{where}: the monitor misses the Service")
        names = [port["name"] for port in service["spec"]["ports"]]
        expect(monitor["spec"]["endpoints"][0]["port"] in names, f"{where}: the monitor asks no port of {names}")
    for monitor in of_kind(objects, "PodMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"]
        expect(wanted.items() <= labels.items(), f"{where}: the monitor misses the pods")
        ends = monitor["spec"].get("podMetricsEndpoints", [])
        asked = [end.get("port") for end in ends]
        expect(asked and set(asked) <= set(ports), f"{where}: the monitor asks the ports {asked}")
    for budget in of_kind(objects, "PodDisruptionBudget"):
        expect(budget["spec"]["selector"]["matchLabels"] == selector, f"{where}: the budget is for others")
    for pod in of_kind(objects, "Pod"):
        taken = selector.items() <= pod["metadata"]["labels"].items()
        expect(not taken, f"{where}: {pod['metadata']['name']} counts as one of the daemon's pods")


def network_covers_the_pods(where, objects):
    for policy in of_kind(objects, "NetworkPolicy"):
        wanted = policy["spec"]["podSelector"]["matchLabels"].items()
        for name, pod in pods(objects):
            expect(wanted <= pod["metadata"]["labels"].items(), f"{where}: the NetworkPolicy misses {name}")


def test_pod_is_like_the_daemon(where, deployment, objects):
    expect(of_kind(objects, "Pod", "check"), f"{where}: there is no test pod")
    for pod in of_kind(objects, "Pod", "check"):
        expect(pod["metadata"]["annotations"]["helm.sh/hook"] == "test", f"{where}: the check is no test")
        ours, theirs = pod["spec"], deployment["spec"]["template"]["spec"]
        for field in ("volumes", "securityContext", "serviceAccountName", "dnsConfig", "hostAliases"):
            expect(ours.get(field) == theirs.get(field), f"{where}: {field} of the check differs")
        for field in ("env", "envFrom", "volumeMounts", "image", "securityContext"):
            one, other = ours["containers"][0].get(field), theirs["containers"][0].get(field)
            expect(one == other, f"{where}: {field} of the check's container differs")


def topology_is_of_a_piece(where, objects):
    """What the topology operator would make is of a piece; topology.py tries it on a broker."""
    names = {"Exchange": set(), "Queue": set()}
    for item in objects:
        if not item["apiVersion"].startswith("rabbitmq.com/"):
            continue
        follows_the_operator(where, item)
        spec = item["spec"]
        names.get(item["kind"], set()).add(spec.get("name"))
        if item["kind"] == "Queue":
            expect(spec["type"] == "quorum", f"{where}: the queue {spec['name']} is not a quorum queue")
    for item in of_kind(objects, "Binding"):
        expect(item["spec"]["source"] in names["Exchange"], f"{where}: {item['spec']} binds no exchange of ours")
        expect(item["spec"]["destination"] in names["Queue"], f"{where}: {item['spec']} binds no queue of ours")


# The fields of the operator's v1beta1, as its documentation tells them. There is no package with its schemas.
REFERENCE = {"name": str, "namespace": str, "connectionSecret": dict}
OPERATOR = {
    "Exchange": {"name": str, "vhost": str, "type": str, "durable": bool, "autoDelete": bool, "arguments": dict},
    "Queue": {"name": str, "vhost": str, "type": str, "durable": bool, "autoDelete": bool, "arguments": dict},
    "Binding": {
        "vhost": str, "source": str, "destination": str, "destinationType": str, "routingKey": str, "arguments": dict,
    },
}


def follows_the_operator(where, item):
    here = f"{where}: {item['kind']} {item['metadata']['name']}"
    expect(item["apiVersion"] == "rabbitmq.com/v1beta1", f"{here}: {item['apiVersion']}")
    fields = OPERATOR.get(item["kind"], {}) | {"rabbitmqClusterReference": dict}
    for field, value in item["spec"].items():
        expect(isinstance(value, fields.get(field, ())), f"{here}: {field} is unknown or of another type")
    for field, value in item["spec"]["rabbitmqClusterReference"].items():
        expect(isinstance(value, REFERENCE.get(field, ())), f"{here}: rabbitmqClusterReference.{field}")
    for name, value in item["spec"].get("arguments", {}).items():
        kind = int if name in ("x-delivery-limit", "x-message-ttl") else str
        expect(isinstance(value, kind), f"{here}: {name} is {value!r}")


def chart_and_program_agree():
    chart = load(CHART / "Chart.yaml")[0]
    cargo = Path("Cargo.toml").read_text(encoding="utf-8")
    package = cargo.split("[package]", 1)[1]
    version = re.search(r'^version = "(.*)"$', package, re.MULTILINE)[1]
    expect(chart["appVersion"] == version, f"Chart.yaml is for {chart['appVersion']}, Cargo.toml says {version}")
    expect(version in chart["annotations"]["artifacthub.io/images"], "artifacthub.io/images names another version")


if __name__ == "__main__":
    main()
