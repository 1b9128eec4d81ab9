{{/* The endpoint of a ServiceMonitor or a PodMonitor; call with its values. */}}
{{- define "mimecast-eventd.endpoint" -}}
{{- $endpoint := dict "port" "metrics" "path" "/metrics" }}
{{- range $field := list "interval" "scrapeTimeout" "honorLabels" "relabelings" "metricRelabelings" }}
{{- with get $ $field }}{{ $_ := set $endpoint $field . }}{{ end }}
{{- end }}
{{- toYaml (mergeOverwrite $endpoint (default dict .extraEndpoint | deepCopy)) }}
{{- end }}

{{/*
The name of an object for monitoring; call with (dict "root" $ "namespace" "…"). In a namespace of others the release's
own is part of it: there may be a release of the same name in each.
*/}}
{{- define "mimecast-eventd.monitoringName" -}}
{{- $own := include "mimecast-eventd.namespace" .root }}
{{- if and .namespace (ne .namespace $own) }}{{ $own }}.{{ end }}
{{- include "mimecast-eventd.fullname" .root }}
{{- end }}

{{/*
The job of this release's series. The operator calls that of a ServiceMonitor like the Service, that of a PodMonitor
like the monitor with its namespace.
*/}}
{{- define "mimecast-eventd.job" -}}
{{- if .Values.metrics.podMonitor.enabled }}
{{- $namespace := .Values.metrics.podMonitor.namespace }}
{{- $name := include "mimecast-eventd.monitoringName" (dict "root" . "namespace" $namespace) }}
{{- printf "%s/%s" (default (include "mimecast-eventd.namespace" .) $namespace) $name }}
{{- else }}
{{- include "mimecast-eventd.fullname" . }}
{{- end }}
{{- end }}

{{/* The matchers for this release's series. */}}
{{- define "mimecast-eventd.matchers" -}}
{{- if .Values.metrics.prometheusRule.selector }}
{{- .Values.metrics.prometheusRule.selector }}
{{- else }}
{{- printf "namespace=%q, job=%q" (include "mimecast-eventd.namespace" .) (include "mimecast-eventd.job" .) }}
{{- end }}
{{- end }}

{{/* The rules of files/alerts.yaml as the values want them, as a JSON list. */}}
{{- define "mimecast-eventd.rules" -}}
{{- $root := . }}
{{- $values := .Values.metrics.prometheusRule }}
{{- $matchers := include "mimecast-eventd.matchers" . }}
{{- $rules := list }}
{{- range (.Files.Get "files/alerts.yaml" | fromYaml).groups }}
{{- range .rules }}
{{- $rule := . }}
{{- $override := default dict (get $values.overrides .alert) }}
{{- $enabled := true }}
{{- if and (eq .alert "MimecastEventdMetricsAbsent") $root.Values.keda.enabled (not (int $root.Values.keda.minReplicaCount)) }}
{{- $enabled = false }}
{{- end }}
{{- if hasKey $override "enabled" }}{{ $enabled = $override.enabled }}{{ end }}
{{- if $enabled }}
{{- /* Read as a file of any Prometheus, the rules are for the job mimecast-eventd; here, for this release. */}}
{{- $_ := set $rule "expr" (default .expr (get $override "expr") | replace "job=\"mimecast-eventd\"" $matchers) }}
{{- with get $override "for" }}{{ $_ := set $rule "for" . }}{{ end }}
{{- $labels := mergeOverwrite (deepCopy .labels) (default dict $values.additionalLabels | deepCopy) (deepCopy (default dict (get $override "labels"))) }}
{{- with get $override "severity" }}{{ $_ := set $labels "severity" . }}{{ end }}
{{- $_ := set $rule "labels" $labels }}
{{- $annotations := deepCopy .annotations }}
{{- with $values.runbookUrl }}{{ $_ := set $annotations "runbook_url" (printf "%s#%s" . (splitList "#" $annotations.runbook_url | last)) }}{{ end }}
{{- $_ := set $rule "annotations" (mergeOverwrite $annotations (deepCopy (default dict (get $override "annotations")))) }}
{{- $rules = append $rules $rule }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson (concat $rules (default list $values.extraRules)) }}
{{- end }}

{{/*
The dashboard of files/dashboard.json for this release, as JSON: Grafana keeps dashboards apart by their uid of at most
40 characters, and people by the title. It begins with this release; others can be chosen.
*/}}
{{- define "mimecast-eventd.dashboard" -}}
{{- $namespace := include "mimecast-eventd.namespace" . }}
{{- $release := printf "%s/%s" $namespace (include "mimecast-eventd.fullname" .) }}
{{- $dashboard := .Files.Get "files/dashboard.json" | fromJson }}
{{- $_ := set $dashboard "uid" (printf "mimecast-eventd-%s" (sha256sum $release | trunc 24)) }}
{{- $_ := set $dashboard "title" (printf "mimecast-eventd: %s" $release) }}
{{- $chosen := dict "namespace" $namespace "job" (include "mimecast-eventd.job" .) }}
{{- range $variable := $dashboard.templating.list }}
{{- with get $chosen $variable.name }}
{{- $_ := set $variable "current" (dict "selected" true "text" (list .) "value" (list .)) }}
{{- end }}
{{- end }}
{{- toPrettyJson $dashboard }}
{{- end }}
