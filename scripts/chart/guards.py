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
    ("a secret from two places", {**SECRET, "secrets": {"existingSecret": "mine", "values": {"amqpUrl": "amqp://x"}}},
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
     "config.retry.ladder has \"1 week\": write a duration such as"),
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
    ("rules for what nobody scrapes", {"metrics": {"prometheusRule": {"enabled": True}}}, "sets metrics.prometheusRule.selector"),
    ("a region of the other API", {"config": {"mimecast": {"auth": "oauth2", "region": "eu"}}},
     "which oauth2 does not have: take one of global, uk, us"),
    ("a drain of an hour", {"config": {"drain_timeout": "1h"}}, "at least 0s and at most 20m"),
    ("a ladder that descends", {"config": {"retry": {"ladder": ["1m", "10s"]}}}, "let the delays grow"),
    ("a first delay above the longest", {"config": {"retry": {"initial_delay": "11s"}}}, "longer than config.retry.max_delay"),
    ("plain HTTP to the vendor", {"config": {"mimecast": {"base_url": "http://api.example.com"}}}, None),
    ("metrics on a host's name", {"config": {"admin": {"listen": "eventd:9464"}}}, "write an address and port"),
    ("metrics on port 99999", {"config": {"admin": {"listen": "0.0.0.0:99999"}}}, "at most 65535"),
    ("a lane that is not there", {"config": {"events": {"url.unblock": None}}},
     "config.events.url.unblock is null, and everything in it has a meaning: leave it out, or set enabled: false"),
    ("no global values", {"global": None}, "global is null"),
    ("two lanes with one queue", {"config": {"events": {"url.unblock": {"queue": "mimecast-eventd.user.offboarded"}}}},
     "each needs a queue of its own"),
    ("a rollout that cannot begin", {"strategy": {"rollingUpdate": {"maxSurge": 0}}}, "no pod could be replaced"),
    ("a budget of everything", {"replicaCount": 2, "podDisruptionBudget": {"minAvailable": "100%"}}, "no node could be drained"),
    ("a budget of nothing", {"replicaCount": 2, "podDisruptionBudget": {"maxUnavailable": 0}}, "no node could be drained"),
    ("a name with a point", {"nameOverride": "a.b"}, None),
    ("a name with a number first", {"fullnameOverride": "1a"}, None),
    ("a secret of no name", {"secrets": {"existingSecret": "My_Secret"}}, "no name of a secret"),
    ("a secret for the other API", {"config": OAUTH2, "secrets": {"values": {"accessKey": "x"}}}, "secrets.values.accessKey has no effect"),
    ("a name for the store's secret", {"config": OAUTH2, "secrets": {"externalSecret": {
        "enabled": True, "remoteKey": "x", "secretStoreRef": {"name": "x"}, "target": {"name": "y"}}}}, "target.name would have no effect"),
    ("a secret that is too short", {"config": OAUTH2, "secrets": {"values": {"clientSecret": "1234567"}}},
     "secrets.values.clientSecret is not at least 8 visible"),
    ("a password with a line break", {"config": OAUTH2, "secrets": {"values": {"amqpPassword": "pass\nword"}, "keys": {
        "amqpPassword": "amqp-password"}}}, "secrets.values.amqpPassword is not a password without control characters"),
    ("a URL that is none", {"config": OAUTH2, "secrets": {"values": {"amqpUrl": "canary"}}}, "secrets.values.amqpUrl is not a URL"),
    ("certificates for a plain connection", {"config": OAUTH2, "secrets": {"values": {"amqpUrl": "amqp://x"}},
                                             "tls": {"existingSecret": "x"}}, "certificates are for amqps:// only"),
    ("a queue by a flag", {"extraArgs": ["--events-url-unblock-queue=x"]}, "extraArgs has --events-url-unblock-queue=x"),
    ("a topology by a flag", {"extraArgs": ["--amqp-topology", "verify"]}, "the chart reads that from config"),
    ("a lane by a variable", {"extraEnv": [{"name": "EVENTD_EVENTS__URL_UNBLOCK__ENABLED", "value": "false"}]},
     "extraEnv has EVENTD_EVENTS__URL_UNBLOCK__ENABLED"),
    ("a virtual host as it was", {**SECRET, "keda": {"vhost": "x"}}, "keda.vhost is now broker.vhost"),
    ("two virtual hosts", {"config": {**OAUTH2, "amqp": {"topology": "verify"}}, "secrets": {"values": {"amqpUrl": "amqp://x/identity"}},
                           "topologyOperator": {"enabled": True, "rabbitmqClusterReference": {"name": "x"}}}, "another virtual host"),
    ("the folder of the chart's socket", {"extraVolumeMounts": [{"name": "x", "mountPath": "/run/mimecast-eventd"}]},
     "extraVolumeMounts has the path"),
    ("KEDA and replicas", {**SECRET, "keda": {"enabled": True}, "replicaCount": 3}, "replicaCount has no effect"),
    ("KEDA without a ceiling", {**SECRET, "keda": {"enabled": True, "minReplicaCount": 5}}, "is less than"),
    ("KEDA with idlers", {**SECRET, "keda": {"enabled": True, "idleReplicaCount": 1}}, "idleReplicaCount must be less"),
    ("KEDA with nothing to ask", {"keda": {"enabled": True}}, "needs the management API's URL"),
    ("KEDA with half a secret", {"config": OAUTH2, "secrets": {"values": {"amqpUrl": "amqp://x"}}, "keda": {"enabled": True}},
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
    ("a release called like the chart", {}, ["name: \"demo-mimecast-eventd\"\n"]),
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
    ("several nodes of a broker, and a password with a comma", {"config": OAUTH2, "secrets": {"values": {
        "amqpUrl": "amqp://u:a,b@one,amqp://u:a,b@two"}}}, ["EVENTD_AMQP__URL_FILE"]),
    ("a text that YAML would take for something else", {"config": {"amqp": {"username": "yes: #1 \"é\"\n"}}},
     ['username = "yes: #1 \\"é\\"\\n"']),
    ("rules by other matchers", {"metrics": {"prometheusRule": {"enabled": True, "selector": 'job="x", env="y"'}}},
     ['absent(eventd_build_info{job="x", env="y"})']),
    ("rules for what a PodMonitor scrapes", {"metrics": {"podMonitor": {"enabled": True, "namespace": "monitoring"},
                                                         "prometheusRule": {"enabled": True}}},
     ['namespace="default", job="monitoring/default.demo-mimecast-eventd"', 'name: "default.demo-mimecast-eventd"']),
    ("rules beside their PodMonitor", {"metrics": {"podMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}},
     ['namespace="default", job="default/demo-mimecast-eventd"']),
    ("KEDA down to nothing, and no alert for it", {**SECRET, "keda": {"enabled": True, "minReplicaCount": 0},
                                                   "metrics": {"prometheusRule": {"enabled": True},
                                                               "podMonitor": {"enabled": True}}},
     ["alert: MimecastEventdNotConnected", "!alert: MimecastEventdMetricsAbsent", "!replicas: 1\n  revision"]),
    ("one pod, and so no budget", {}, ["!kind: PodDisruptionBudget"]),
    ("an account of somebody else's", {"serviceAccount": {"create": False, "name": "theirs"}},
     ["serviceAccountName: \"theirs\"", "!kind: ServiceAccount"]),
    ("no test pod", {"tests": {"enabled": False}}, ["!kind: Pod\n"]),
    ("annotations that the chart has too", {"podAnnotations": {
        "checksum/config": "theirs", "kubectl.kubernetes.io/default-container": "theirs"}},
     ["default-container: theirs", "!default-container: mimecast-eventd", "!        checksum/config: theirs"]),
    ("a test pod of another kind", {"tests": {"annotations": {"helm.sh/hook-delete-policy": "hook-succeeded", "helm.sh/hook": "x"}}},
     ["helm.sh/hook: test", "hook-delete-policy: hook-succeeded", "!before-hook-creation"]),
    ("an endpoint of one's own", {"metrics": {"serviceMonitor": {"enabled": True, "extraEndpoint": {"path": "/x", "interval": "9s"}}}},
     ["path: /x", "interval: 9s", "!path: /metrics"]),
    ("what sleeps before the drain", {"lifecycle": {"preStop": {"sleep": {"seconds": 7}}}}, ["terminationGracePeriodSeconds: 42"]),
    ("the world by either protocol, name servers on another port", {"networkPolicy": {"enabled": True, "egress": {"dnsPorts": [5353]}}},
     ["cidr: ::/0", "100.64.0.0/10", "port: 5353", "!port: 53\n", "!port: 15672\n"]),
    ("the management API, which the daemon asks too",
     {"networkPolicy": {"enabled": True}, "secrets": {"keys": {"amqpManagementUrl": "management"}}},
     ["port: 5672\n          protocol: TCP\n        - port: 5671\n          protocol: TCP\n        - port: 15672\n", "port: 15671\n"]),
    ("KEDA where the URL says the virtual host", {**SECRET, "keda": {"enabled": True}}, ["kind: ScaledObject", "!vhostName"]),
    ("KEDA with a virtual host", {**SECRET, "keda": {"enabled": True}, "broker": {"vhost": "identity"}}, ['vhostName: "identity"']),
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


def vault(helm, problems):
    """The README's values for the Vault agent: its templates are left to it, in the test pod too, and it gets a token."""
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    values = yaml.safe_load(readme.split("<!-- vault -->\n```yaml\n", 1)[1].split("```", 1)[0])
    result = render(helm, values)
    problems.expect(result.returncode == 0, f"{helm}: the README's values for Vault are refused: {result.stderr}")
    objects = [item for item in yaml.safe_load_all(result.stdout) if item]
    pods = [item["spec"]["template"] for item in objects if item["kind"] == "Deployment"]
    pods += [item for item in objects if item["kind"] == "Pod"]
    problems.expect(len(pods) == 2, f"{helm}: {len(pods)} pods for Vault")
    for pod in pods:
        annotations = pod["metadata"]["annotations"]
        wanted = values["podAnnotations"].items()
        problems.expect(wanted <= annotations.items(), f"{helm}: Vault's annotations became {annotations}")
        problems.expect(pod["spec"]["automountServiceAccountToken"], f"{helm}: Vault's agent has no token")
        given = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
        for name, path in given.items():
            secret = "vault.hashicorp.com/agent-inject-secret-" + path.rpartition("/")[2]
            problems.expect(secret in annotations, f"{helm}: nobody writes {path} for {name}")


def main():
    problems = Problems()
    for helm in sys.argv[1:]:
        refusals(helm, problems)
        vault(helm, problems)
        subchart(helm, problems)
    problems.tell("guards")


if __name__ == "__main__":
    main()
