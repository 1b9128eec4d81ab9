{{/* The chart's name in names and labels. */}}
{{- define "mimecast-eventd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of the objects. 52, not 63: names made from it have suffixes, and some become labels. */}}
{{- define "mimecast-eventd.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "mimecast-eventd.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "mimecast-eventd.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "mimecast-eventd.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{/* What selects the pods. Never more than this: a selector cannot be changed afterwards. */}}
{{- define "mimecast-eventd.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mimecast-eventd.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: daemon
{{- end }}

{{/* The labels of every object; call with (dict "root" $ "component" "…" "labels" map). */}}
{{- define "mimecast-eventd.labels" -}}
{{- $root := .root }}
{{- $labels := dict
  "app.kubernetes.io/name" (include "mimecast-eventd.name" $root)
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/component" (default "daemon" .component)
  "app.kubernetes.io/part-of" "mimecast-eventd"
  "app.kubernetes.io/managed-by" $root.Release.Service
  "app.kubernetes.io/version" (default $root.Chart.AppVersion $root.Values.image.tag | trunc 63 | trimSuffix "-")
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- $own := include "mimecast-eventd.rendered" (dict "root" $root "value" $root.Values.commonLabels) | fromYaml }}
{{- $more := include "mimecast-eventd.rendered" (dict "root" $root "value" .labels) | fromYaml }}
{{- toYaml (mergeOverwrite $labels $own $more) }}
{{- end }}

{{/* The labels of the pods: without the chart's version, which alone must not make new pods. */}}
{{- define "mimecast-eventd.podLabels" -}}
{{- omit (include "mimecast-eventd.labels" (dict "root" . "labels" .Values.podLabels) | fromYaml) "helm.sh/chart" "app.kubernetes.io/managed-by" | toYaml }}
{{- end }}

{{/*
The annotations of the daemon's pods and of the test pod. Their templates are carried out, but for those of the Vault
agent: they are in the same language, and meant for it.
*/}}
{{- define "mimecast-eventd.podAnnotations" -}}
{{- $annotations := dict }}
{{- range $name, $value := .Values.podAnnotations }}
{{- if not (hasPrefix "vault.hashicorp.com/" $name) }}{{ $value = tpl $value $ }}{{ end }}
{{- $_ := set $annotations $name $value }}
{{- end }}
{{- toYaml $annotations }}
{{- end }}

{{/* The `annotations:` of an object's metadata, or nothing; call with (dict "root" $ "annotations" map). */}}
{{- define "mimecast-eventd.annotations" -}}
{{- $own := include "mimecast-eventd.rendered" (dict "root" .root "value" .root.Values.commonAnnotations) | fromYaml }}
{{- $more := include "mimecast-eventd.rendered" (dict "root" .root "value" .annotations) | fromYaml }}
{{- with mergeOverwrite $own $more }}
  annotations:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{/* A map or list from the values as YAML, its templates carried out. */}}
{{- define "mimecast-eventd.rendered" -}}
{{- if .value }}
{{- tpl (toYaml .value) .root }}
{{- end }}
{{- end }}

{{/* A text from the values, its templates carried out. */}}
{{- define "mimecast-eventd.text" -}}
{{- if .value }}
{{- tpl .value .root }}
{{- end }}
{{- end }}

{{/* The image: the digest wins over the tag, the global registry over the image's own. */}}
{{- define "mimecast-eventd.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry }}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end }}
{{- .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end }}

{{- define "mimecast-eventd.imagePullSecrets" -}}
{{- $secrets := list }}
{{- range concat (default list .Values.global.imagePullSecrets) (default list .Values.imagePullSecrets) }}
{{- $name := kindIs "map" . | ternary (dict "name" (get (kindIs "map" . | ternary . dict) "name")) (dict "name" .) }}
{{- $secrets = append $secrets $name }}
{{- end }}
{{- with uniq $secrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "mimecast-eventd.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "mimecast-eventd.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The port in config.admin.listen; 0 where there is none, which the guards refuse. */}}
{{- define "mimecast-eventd.port" -}}
{{- regexFind "[0-9]+$" (toString .Values.config.admin.listen) | default "0" }}
{{- end }}

{{/* A duration such as 1m30s in milliseconds; nothing where it is none, which the guards refuse. */}}
{{- define "mimecast-eventd.milliseconds" -}}
{{- $text := toString . }}
{{- if regexMatch "^([0-9]{1,9}(ms|s|m|h|days|day|d) ?)+$" $text }}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 "day" 86400000 "days" 86400000 }}
{{- $sum := 0 }}
{{- range regexFindAll "[0-9]+(ms|s|m|h|days|day|d)" $text -1 }}
{{- $unit := regexFind "[a-z]+$" . }}
{{- $sum = add $sum (mul (atoi (trimSuffix $unit .)) (get $units $unit)) }}
{{- end }}
{{- $sum }}
{{- end }}
{{- end }}

{{/* Milliseconds as the daemon writes them in the names of its delay queues: 90000 is 1m30s. */}}
{{- define "mimecast-eventd.duration" -}}
{{- $rest := int64 . }}
{{- $days := div $rest 86400000 }}
{{- if $days }}{{ $days }}day{{ if gt $days 1 }}s{{ end }}{{ end }}
{{- $rest = mod $rest 86400000 }}
{{- range list (list 3600000 "h") (list 60000 "m") (list 1000 "s") (list 1 "ms") }}
{{- $count := div $rest (index . 0) }}
{{- if $count }}{{ $count }}{{ index . 1 }}{{ end }}
{{- $rest = mod $rest (index . 0) }}
{{- end }}
{{- end }}

{{/* The drain timeout, rounded up to seconds, what a preStop hook sleeps before it, and what kubelet shall add. */}}
{{- define "mimecast-eventd.terminationGracePeriodSeconds" -}}
{{- $drain := include "mimecast-eventd.milliseconds" .Values.config.drain_timeout | int64 }}
{{- $sleep := dig "preStop" "sleep" "seconds" 0 .Values.lifecycle | int64 }}
{{- add (div (add $drain 999) 1000) $sleep .Values.terminationGracePeriodMargin }}
{{- end }}

{{/* Most and fewest pods that there can be. */}}
{{- define "mimecast-eventd.maxReplicas" -}}
{{- if .Values.keda.enabled }}{{ int .Values.keda.maxReplicaCount }}{{ else }}{{ int .Values.replicaCount }}{{ end }}
{{- end }}
{{- define "mimecast-eventd.minReplicas" -}}
{{- if .Values.keda.enabled }}{{ int .Values.keda.minReplicaCount }}{{ else }}{{ int .Values.replicaCount }}{{ end }}
{{- end }}
