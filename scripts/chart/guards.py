"""Sees that bad values are refused, with words that say what to do, and that good ones of others are not.

usage: guards.py HELM...
"""

import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from manifest import Problems

CHART = Path("helm/mimecast-eventd")
OAUTH2 = {"mimecast": {"auth": "oauth2", "region": "us"}}
SECRET = {"config": OAUTH2, "secrets": {"existingSecret": "mine"}}
# A part of what Helm says; None where it is a schema's refusal, which Helm 3 and 4 word differently.
BAD = [
    # What the schema refuses.
    ("an unknown value", {"replicas": 2}, None),
    ("an unknown setting", {"config": {"amqp": {"vhost": "/"}}}, None),
    ("an unknown lane", {"config": {"events": {"user.created": {"enabled": True}}}}, None),
    ("an unknown topology", {"config": {"amqp": {"topology": "create"}}}, None),
    ("an unknown way to authenticate", {"config": {"mimecast": {"auth": "basic"}}}, None),
    ("a number for a text", {"config": {"drain_timeout": 25}}, None),
    ("a text for a number", {"replicaCount": "two"}, None),
    ("a prefetch of nothing", {"config": {"events": {"url.unblock": {"prefetch": 0}}}}, None),
    ("a ladder of numbers", {"config": {"retry": {"ladder": [10, 60]}}}, None),
    ("a digest that is none", {"image": {"digest": "sha256:abc"}}, None),
    ("an unknown pull policy", {"image": {"pullPolicy": "Sometimes"}}, None),
    ("an unknown key of a secret", {"secrets": {"keys": {"password": "x"}}}, None),
    ("a variable without a name", {"extraEnv": [{"value": "x"}]}, None),
    ("a variable as a map", {"extraEnv": {"A": "b"}}, None),
    ("an unknown kind of store", {"secrets": {"externalSecret": {"secretStoreRef": {"kind": "Vault"}}}}, None),
    ("a timeout in words", {"config": {"mimecast": {"timeout": "half a minute"}}}, None),
    ("no time for the process to end", {"terminationGracePeriodMargin": 0}, None),
    ("a runbook that is no address", {"metrics": {"prometheusRule": {"runbookUrl": "see wiki"}}}, None),
    ("a runbook with an anchor", {"metrics": {"prometheusRule": {"runbookUrl": "https://x.example.com/#a"}}}, None),
    # What the templates refuse.
    ("a broker's URL among the settings", {"config": {"amqp": {"url": "amqp://x"}}}, "config.amqp.url is a secret"),
    ("the key of pseudonyms among the settings", {"config": {"log": {"pseudonym_key": "x"}}}, "config.log.pseudonym_key is a secret"),
    ("a key among the settings", {"config": {"mimecast": {"secret_key": "x"}}}, "secrets.values.secretKey"),
    ("a secret from two places", {**SECRET, "secrets": {"existingSecret": "mine", "values": {"amqpUrl": "x"}}},
     "secrets.existingSecret and secrets.values are both set"),
    ("a secret from two makers", {**SECRET, "secrets": {"existingSecret": "mine", "externalSecret": {
        "enabled": True, "remoteKey": "x", "secretStoreRef": {"name": "x"}}}}, "take one of the three"),
    ("a secret without a key", {"config": OAUTH2, "secrets": {"values": {"amqpPassword": "x"}}},
     "name one in secrets.keys.amqpPassword"),
    ("two secrets under one key", {**SECRET, "secrets": {"existingSecret": "x", "keys": {"clientId": "client-secret"}}},
     "secrets.keys has \"client-secret\" twice"),
    ("no key for the broker's URL", {"secrets": {"keys": {"amqpUrl": ""}}}, "secrets.keys.amqpUrl is empty"),
    ("secrets for an unknown API", {"secrets": {"existingSecret": "mine"}}, "config.mimecast.auth is empty"),
    ("an external secret from nowhere", {"config": OAUTH2, "secrets": {"externalSecret": {
        "enabled": True, "secretStoreRef": {"name": "x"}}}}, "needs remoteKey, data or dataFrom"),
    ("an external secret without a store", {"config": OAUTH2, "secrets": {"externalSecret": {
        "enabled": True, "remoteKey": "x"}}}, "secretStoreRef.name is empty"),
    ("an external secret from two places", {"config": OAUTH2, "secrets": {"externalSecret": {
        "enabled": True, "remoteKey": "x", "dataFrom": [{"extract": {"key": "x"}}], "secretStoreRef": {"name": "x"}}}},
     "goes with neither data nor dataFrom"),
    ("certificates from two places", {"tls": {"existingSecret": "x"}, "config": {"amqp": {"tls": {"ca_file": "/x"}}}},
     "tls.existingSecret sets the files"),
    ("a client certificate from nowhere", {"tls": {"clientCertificate": True}}, "needs tls.existingSecret"),
    ("certificates for nothing", {"tls": {"existingSecret": "x", "caKey": ""}}, "not used for anything"),
    ("a drain timeout in words", {"config": {"drain_timeout": "half a minute"}},
     "config.drain_timeout is \"half a minute\": write a duration such as"),
    ("a drain timeout without a unit", {"config": {"drain_timeout": "25"}}, "write a duration such as"),
    ("a ladder in words", {**SECRET, "config": {**OAUTH2, "amqp": {"topology": "verify"}, "retry": {"ladder": ["1 week"]}},
                           "topologyOperator": {"enabled": True, "rabbitmqClusterReference": {"name": "x"}}},
     "config.retry.ladder is \"1 week\": write a duration such as"),
    ("metrics on loopback", {"config": {"admin": {"listen": "127.0.0.1:9464"}}}, "on loopback"),
    ("metrics on no port", {"config": {"admin": {"listen": "0.0.0.0"}}}, "write an address and port"),
    ("no lane", {"config": {"events": {"user.offboarded": {"enabled": False}, "url.unblock": {"enabled": False}}}},
     "no lane in config.events is enabled"),
    ("another settings file", {"extraArgs": ["--config=/x"]}, "extraArgs has --config=/x"),
    ("another port by a flag", {"extraArgs": ["--admin-listen", "0.0.0.0:1"]}, "extraArgs has --admin-listen"),
    ("another port by a variable", {"extraEnv": [{"name": "EVENTD_ADMIN__LISTEN", "value": "x"}]},
     "extraEnv has EVENTD_ADMIN__LISTEN"),
    ("a variable twice", {"extraEnv": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
     "the environment variable A is there twice"),
    ("a variable of the chart", {**SECRET, "extraEnv": [{"name": "EVENTD_AMQP__URL_FILE", "value": "/x"}]},
     "the environment variable EVENTD_AMQP__URL_FILE is there twice"),
    ("a secret in a variable", {"extraEnv": [{"name": "EVENTD_MIMECAST__SECRET_KEY", "value": "x"}]},
     "has the secret EVENTD_MIMECAST__SECRET_KEY in clear"),
    ("a secret as file and variable", {**SECRET, "extraEnv": [{"name": "EVENTD_AMQP__URL", "valueFrom": {
        "secretKeyRef": {"name": "x", "key": "y"}}}]}, "the daemon refuses both at once"),
    ("a secret as file and variable, both by hand", {"extraEnv": [
        {"name": "EVENTD_AMQP__URL", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}},
        {"name": "EVENTD_AMQP__URL_FILE", "value": "/x"}]}, "the daemon refuses both at once"),
    ("a volume of the chart", {"extraVolumes": [{"name": "config", "emptyDir": {}}]}, "extraVolumes has the name"),
    ("a path of the chart", {"extraVolumeMounts": [{"name": "x", "mountPath": "/etc/mimecast-eventd/"}]},
     "extraVolumeMounts has the path"),
    ("a container of the chart", {"extraContainers": [{"name": "mimecast-eventd"}]}, "two containers called"),
    ("a field of the chart", {"extraPodSpec": {"tolerations": []}}, "extraPodSpec.tolerations is the chart's own"),
    ("a label of the selector", {"podLabels": {"app.kubernetes.io/name": "x"}}, "podLabels has app.kubernetes.io/name"),
    ("a budget for no drain", {"replicaCount": 2, "podDisruptionBudget": {"minAvailable": 2}}, "could be drained"),
    ("two monitors", {"metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}}, "scraped twice"),
    ("a monitor without a Service", {"service": {"enabled": False}, "metrics": {"serviceMonitor": {"enabled": True}}},
     "needs service.enabled"),
    ("a job of another name", {"metrics": {"serviceMonitor": {"enabled": True, "jobLabel": "team"},
                                           "prometheusRule": {"enabled": True}}}, "cannot know the job"),
    ("a change to no alert", {"metrics": {"prometheusRule": {"overrides": {"Nonsense": {"for": "1m"}}}}},
     "there is no such alert"),
    ("KEDA and replicas", {**SECRET, "keda": {"enabled": True}, "replicaCount": 3}, "replicaCount has no effect"),
    ("KEDA without a ceiling", {**SECRET, "keda": {"enabled": True, "minReplicaCount": 5}}, "is less than"),
    ("KEDA with idlers", {**SECRET, "keda": {"enabled": True, "idleReplicaCount": 1}}, "idleReplicaCount must be less"),
    ("KEDA with nothing to ask", {"keda": {"enabled": True}}, "needs the management API's URL"),
    ("KEDA with half a secret", {"config": OAUTH2, "secrets": {"values": {"amqpUrl": "x"}}, "keda": {"enabled": True}},
     "set secrets.values.managementUrl"),
    ("two who declare", {**SECRET, "topologyOperator": {"enabled": True, "rabbitmqClusterReference": {"name": "x"}}},
     "needs config.amqp.topology: verify"),
    ("a topology on no broker", {"config": {"amqp": {"topology": "verify"}}, "topologyOperator": {"enabled": True}},
     "which broker is it?"),
    ("a topology on two brokers", {"config": {"amqp": {"topology": "verify"}}, "topologyOperator": {
        "enabled": True, "rabbitmqClusterReference": {"name": "x", "connectionSecret": {"name": "y"}}}}, "not both"),
]
# Values that others have and that must work, each with words that must be in what is rendered, or after a ! must not.
GOOD = [
    ("OpenShift, which gives out ids itself",
     {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}}, ["runAsNonRoot: true"]),
    ("a release called like the chart", {}, ["name: demo-mimecast-eventd\n"]),
    ("files that something else puts there", {"config": OAUTH2, "podAnnotations": {"vault/inject": "true"}, "extraEnv": [
        {"name": "EVENTD_AMQP__URL_FILE", "value": "/vault/secrets/amqp-url"}]}, ["/vault/secrets/amqp-url"]),
    ("Recreate, without a word of what RollingUpdate needs", {"strategy": {"type": "Recreate"}}, ["type: Recreate\n  sel"]),
    ("a digest, which wins over the tag", {"image": {"tag": "1", "digest": "sha256:" + "0" * 64}},
     ["mimecast-eventd@sha256:000"]),
    ("a registry of all charts, which wins over the image's",
     {"global": {"imageRegistry": "mirror"}, "image": {"registry": "own"}}, ["\"mirror/mimecast-eventd:"]),
    ("spread constraints with and without a selector of their own", {"topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"},
        {"maxSkew": 1, "topologyKey": "host", "whenUnsatisfiable": "DoNotSchedule",
         "labelSelector": {"matchLabels": {"tier": "backend"}}}]},
     ["        - labelSelector:\n            matchLabels:\n              tier: backend\n          maxSkew",
      "        - labelSelector:\n            matchLabels:\n              app.kubernetes.io/component: daemon"]),
    ("two pods, and so a budget", {"replicaCount": 2}, ["kind: PodDisruptionBudget", "unhealthyPodEvictionPolicy"]),
    ("all secrets of both generations, of which one is used", {"config": OAUTH2, "secrets": {"values": {
        "amqpUrl": "x", "accessKey": "x", "clientId": "x", "clientSecret": "x"}}}, ["EVENTD_MIMECAST__CLIENT_ID_FILE"]),
    ("a text that YAML would take for something else", {"config": {"amqp": {"username": "yes: #1 \"é\"\n"}}},
     ['username = "yes: #1 \\"é\\"\\n"']),
    ("rules by other matchers", {"metrics": {"prometheusRule": {"enabled": True, "selector": 'job="x", env="y"'}}},
     ['absent(eventd_build_info{job="x", env="y"})']),
    ("rules for what a PodMonitor scrapes", {"metrics": {"podMonitor": {"enabled": True, "namespace": "monitoring"},
                                                         "prometheusRule": {"enabled": True}}},
     ['namespace="default", job="monitoring/demo-mimecast-eventd"']),
    ("KEDA down to nothing, and no alert for it", {**SECRET, "keda": {"enabled": True, "minReplicaCount": 0},
                                                   "metrics": {"prometheusRule": {"enabled": True}}},
     ["alert: MimecastEventdNotConnected", "!alert: MimecastEventdMetricsAbsent", "!replicas: 1\n  revision"]),
    ("one pod, and so no budget", {}, ["!kind: PodDisruptionBudget"]),
    ("an account of somebody else's", {"serviceAccount": {"create": False, "name": "theirs"}},
     ["serviceAccountName: theirs", "!kind: ServiceAccount"]),
    ("no test pod", {"tests": {"enabled": False}}, ["!kind: Pod\n"]),
]


def render(helm, values, chart=CHART, name="demo"):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(values, file)
        file.flush()
        command = [helm, "template", name, chart, "--values", file.name, "--kube-version", "1.37"]
        return subprocess.run(command, capture_output=True, text=True, check=False)


def refusals(helm, problems):
    with ThreadPoolExecutor() as pool:
        results = pool.map(lambda bad: (bad, render(helm, bad[1])), BAD)
        for (name, _, words), result in results:
            problems.expect(result.returncode != 0, f"{helm}: {name} is not refused")
            said = words if words is not None else "schema"
            problems.expect(said in result.stderr, f"{helm}: {name}: {said!r} is not in {result.stderr!r}")
        results = pool.map(lambda good: (good, render(helm, good[1])), GOOD)
        for (name, _, words), result in results:
            problems.expect(result.returncode == 0, f"{helm}: {name} is refused: {result.stderr}")
            for word in words:
                there = word.removeprefix("!") in result.stdout
                problems.expect(there != word.startswith("!"), f"{helm}: {name}: not as it should be: {word!r}")


def subchart(helm, problems):
    """An umbrella chart with a condition, and with global values of others."""
    with tempfile.TemporaryDirectory() as folder:
        parent = Path(folder, "parent")
        (parent / "charts").mkdir(parents=True)
        (parent / "charts" / CHART.name).symlink_to(CHART.resolve())
        (parent / "Chart.yaml").write_text(yaml.safe_dump({
            "apiVersion": "v2", "name": "parent", "version": "0.1.0", "dependencies": [
                {"name": CHART.name, "version": "*", "condition": f"{CHART.name}.enabled"}]}), encoding="utf-8")
        on = {CHART.name: {"enabled": True, **SECRET}, "global": {"imageRegistry": "mirror", "theirs": {"a": 1}}}
        result = render(helm, on, parent)
        problems.expect(result.returncode == 0, f"{helm}: cannot be a subchart: {result.stderr}")
        problems.expect("mirror/mimecast-eventd:" in result.stdout, f"{helm}: a subchart misses global values")
        off = render(helm, {CHART.name: {"enabled": False}}, parent)
        problems.expect("kind: Deployment" not in off.stdout, f"{helm}: a disabled subchart is rendered")


def main():
    problems = Problems()
    for helm in sys.argv[1:]:
        refusals(helm, problems)
        subchart(helm, problems)
    problems.tell("guards")


if __name__ == "__main__":
    main()
