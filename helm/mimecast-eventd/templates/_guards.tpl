{{/*
What is wrong with the settings of the daemon, as a JSON list: all that it would refuse at its start, and what the chart
reads from them. Values of a wrong type have been refused by the schema.
*/}}
{{- define "mimecast-eventd.settingsProblems" -}}
{{- $config := .Values.config }}
{{- $problems := list }}

{{- range include "mimecast-eventd.secretTable" . | fromYamlArray }}
{{- $path := splitList "." .key }}
{{- if hasKey (get $config (index $path 0)) (index $path 1) }}
{{- $problems = append $problems (printf "config.%s is a secret and would be in a ConfigMap: put it into a secret for secrets.existingSecret or secrets.externalSecret, or into secrets.values.%s" .key .name) }}
{{- end }}
{{- end }}

{{- /* Lanes and names */}}
{{- $lanes := 0 }}
{{- $names := list (list "config.amqp.dead_letter_queue" $config.amqp.dead_letter_queue) }}
{{- $types := list "user.offboarded" "url.unblock" }}
{{- range $event, $lane := $config.events }}
{{- if $lane.enabled }}{{ $lanes = add $lanes 1 }}{{ end }}
{{- range $other := $names }}
{{- if eq (index $other 1) $lane.queue }}
{{- $problems = append $problems (printf "config.events.%s.queue is also %s: each needs a queue of its own" $event (index $other 0)) }}
{{- end }}
{{- end }}
{{- $names = append $names (list (printf "config.events.%s.queue" $event) $lane.queue) }}
{{- range $type := $lane.types }}
{{- if has $type $types }}
{{- $problems = append $problems (printf "config.events.%s.types has %q, which is the name of a type already: take it out" $event $type) }}
{{- end }}
{{- $types = append $types $type }}
{{- end }}
{{- $fields := list "emailAddress" "domain" "groupIds" "groups" "effectiveAt" "event_id" "time" }}
{{- $alternatives := list "emailAddress" "domain" }}
{{- if eq $event "url.unblock" }}
{{- $fields = list "id" "ids" "url" "effectiveAt" "event_id" "time" }}
{{- $alternatives = list "id" "ids" "url" }}
{{- end }}
{{- $pointed := list }}
{{- range $field, $_ := $lane.map }}
{{- if not (has $field $fields) }}
{{- $problems = append $problems (printf "config.events.%s.map has no field %q: it has %s" $event $field (join ", " $fields)) }}
{{- end }}
{{- if has $field $alternatives }}{{ $pointed = append $pointed $field }}{{ end }}
{{- end }}
{{- if gt (len $pointed) 1 }}
{{- $problems = append $problems (printf "config.events.%s.map points to %s: an event has one of them" $event (join " and " $pointed)) }}
{{- end }}
{{- end }}
{{- if not $lanes }}
{{- $problems = append $problems "no lane in config.events is enabled, so there is nothing to do" }}
{{- end }}
{{- range $name := list "exchange" "dead_letter_exchange" "outcome_exchange" "dead_letter_queue" }}
{{- $names = append $names (list (printf "config.amqp.%s" $name) (get $config.amqp $name)) }}
{{- end }}
{{- range $names }}
{{- /* len counts bytes, the schema characters. */}}
{{- if gt (len (toString (index . 1))) 200 }}
{{- $problems = append $problems (printf "%s is longer than 200 bytes: the names of its delay queues would exceed what AMQP allows" (index . 0)) }}
{{- end }}
{{- end }}
{{- with $config.amqp.outcome_exchange }}
{{- if has . (list $config.amqp.exchange $config.amqp.dead_letter_exchange) }}
{{- $problems = append $problems "config.amqp.outcome_exchange is the exchange of something else: its events would come to the lanes, or be dead letters" }}
{{- end }}
{{- end }}
{{- range $file := list "cert_file" "key_file" }}
{{- if and (get $config.amqp.tls $file) (not (and $config.amqp.tls.cert_file $config.amqp.tls.key_file)) }}
{{- $problems = append $problems (printf "config.amqp.tls.%s goes only with the other of cert_file and key_file: set both" $file) }}
{{- end }}
{{- end }}

{{- /* The vendor */}}
{{- $regions := dict "hmac" (list "eu" "de" "us" "usb" "ca" "za" "au" "je" "sandbox" "uspcom") "oauth2" (list "global" "uk" "us") }}
{{- with get $regions (toString $config.mimecast.auth) }}
{{- if and $config.mimecast.region (not (has $config.mimecast.region .)) }}
{{- $problems = append $problems (printf "config.mimecast.region is %q, which %s does not have: take one of %s" $config.mimecast.region $config.mimecast.auth (join ", " .)) }}
{{- end }}
{{- end }}

{{- /* Durations: the least, the most, and what holds where the value is empty. */}}
{{- $durations := list
  (list "drain_timeout" "0s" "20m" "")
  (list "amqp.heartbeat" "1s" "10m" "10s")
  (list "policy.max_event_age" "1s" "36500days" "1s")
  (list "policy.window" "1s" "24h" "")
  (list "mimecast.timeout" "1ms" "4m" "30s")
  (list "mimecast.connect_timeout" "1ms" "4m" "5s")
  (list "mimecast.group_cache" "0s" "24h" "")
  (list "retry.initial_delay" "1ms" "5m" "200ms")
  (list "retry.max_delay" "1ms" "5m" "10s")
  (list "breaker.initial_probe_delay" "10ms" "15m" "5s")
  (list "breaker.max_probe_delay" "10ms" "15m" "30s") }}
{{- if ne $config.audit.fsync "always" }}
{{- $durations = append $durations (list "audit.fsync" "10ms" "1m" "always") }}
{{- end }}
{{- $found := dict }}
{{- range $durations }}
{{- $key := index . 0 }}
{{- $value := get $config $key }}
{{- if contains "." $key }}{{ $path := splitList "." $key }}{{ $value = get (get $config (index $path 0)) (index $path 1) }}{{ end }}
{{- if not (and (index . 3) (eq (toString $value) "")) }}
{{- $milliseconds := include "mimecast-eventd.milliseconds" $value }}
{{- $least := include "mimecast-eventd.milliseconds" (index . 1) | int64 }}
{{- $most := include "mimecast-eventd.milliseconds" (index . 2) | int64 }}
{{- if not $milliseconds }}
{{- $problems = append $problems (printf "config.%s is %q: write a duration such as 500ms, 25s, 2m or 1h30m" $key (toString $value)) }}
{{- else if or (lt (int64 $milliseconds) $least) (gt (int64 $milliseconds) $most) }}
{{- $problems = append $problems (printf "config.%s is %s: it is at least %s and at most %s" $key $value (index . 1) (index . 2)) }}
{{- end }}
{{- $_ := set $found $key (int64 $milliseconds) }}
{{- else }}
{{- $_ := set $found $key (include "mimecast-eventd.milliseconds" (index . 3) | int64) }}
{{- end }}
{{- end }}
{{- range list (list "retry.initial_delay" "retry.max_delay") (list "breaker.initial_probe_delay" "breaker.max_probe_delay") }}
{{- if gt (get $found (index . 0)) (get $found (index . 1)) }}
{{- $problems = append $problems (printf "config.%s is longer than config.%s" (index . 0) (index . 1)) }}
{{- end }}
{{- end }}
{{- $before := 0 | int64 }}
{{- range $config.retry.ladder }}
{{- $milliseconds := include "mimecast-eventd.milliseconds" . }}
{{- if not $milliseconds }}
{{- $problems = append $problems (printf "config.retry.ladder has %q: write a duration such as 500ms, 25s, 2m or 1h30m" (toString .)) }}
{{- else if or (lt (int64 $milliseconds) 100) (gt (int64 $milliseconds) 604800000) }}
{{- $problems = append $problems (printf "config.retry.ladder has %s: each entry is at least 100ms and at most 7days" .) }}
{{- else if le (int64 $milliseconds) $before }}
{{- $problems = append $problems (printf "config.retry.ladder has %s after an entry that is not shorter: let the delays grow" .) }}
{{- end }}
{{- $before = int64 $milliseconds }}
{{- end }}

{{- /* Where it listens and writes */}}
{{- $listen := toString $config.admin.listen }}
{{- if regexMatch "^(127\\.|localhost|\\[::1\\])" $listen }}
{{- $problems = append $problems (printf "config.admin.listen is %q: on loopback neither kubelet's probes nor Prometheus reach it, use 0.0.0.0 or [::]" $listen) }}
{{- else if not (regexMatch "^(0\\.0\\.0\\.0|\\[::\\]):[1-9][0-9]{0,4}$" $listen) }}
{{- $problems = append $problems (printf "config.admin.listen is %q: nobody knows a pod's own address before, so write an address and port such as 0.0.0.0:9464 or [::]:9464" $listen) }}
{{- else if gt (include "mimecast-eventd.port" . | int) 65535 }}
{{- $problems = append $problems (printf "config.admin.listen is %q: a port is at most 65535" $listen) }}
{{- end }}
{{- if and $config.audit.by_hand_key_file (not $config.audit.path) }}
{{- $problems = append $problems "config.audit.by_hand_key_file has no effect without config.audit.path" }}
{{- end }}
{{- if and $config.audit.key_file (not $config.audit.path) }}
{{- $problems = append $problems "config.audit.key_file has no effect without config.audit.path" }}
{{- end }}
{{- toJson $problems }}
{{- end }}

{{/* The settings that the chart reads itself, as the daemon's keys. What is set past `config` would drift from it. */}}
{{- define "mimecast-eventd.readSettings" -}}
{{- $keys := list "drain_timeout" "admin.listen" "control.socket" "mimecast.auth" "retry.ladder" "policy.dry_run"
  "amqp.exchange" "amqp.dead_letter_exchange" "amqp.dead_letter_queue" "amqp.outcome_exchange" "amqp.topology"
  "amqp.tls.ca_file" "amqp.tls.cert_file" "amqp.tls.key_file" }}
{{- range $event := list "user.offboarded" "url.unblock" }}
{{- range list "enabled" "queue" "delivery_limit" "types" "binding_keys" }}
{{- $keys = append $keys (printf "events.%s.%s" $event .) }}
{{- end }}
{{- end }}
{{- toJson $keys }}
{{- end }}

{{/* The maps that templates look into, by their paths. */}}
{{- define "mimecast-eventd.maps" -}}
{{- list
  "global" "image" "config" "config/amqp" "config/amqp/tls" "config/events" "config/events/user.offboarded"
  "config/events/url.unblock" "config/policy" "config/mimecast" "config/retry" "config/breaker" "config/admin"
  "config/control" "config/audit" "config/log" "config/traces" "secrets" "secrets/keys" "secrets/values"
  "secrets/externalSecret" "secrets/externalSecret/secretStoreRef" "tls" "strategy" "livenessProbe" "readinessProbe"
  "startupProbe" "serviceAccount" "podDisruptionBudget" "service" "networkPolicy" "networkPolicy/ingress"
  "networkPolicy/egress" "networkPolicy/egress/broker" "networkPolicy/egress/vendor" "metrics" "metrics/serviceMonitor"
  "metrics/podMonitor" "metrics/prometheusRule" "metrics/dashboard" "broker" "keda" "keda/lanes"
  "keda/lanes/user.offboarded" "keda/lanes/url.unblock" "keda/authentication" "topologyOperator" "tests"
  | toJson }}
{{- end }}
