{{/* The tree of settings with what the chart itself adds. */}}
{{- define "mimecast-eventd.config" -}}
{{- $config := deepCopy .Values.config }}
{{- if .Values.tls.existingSecret }}
{{- $tls := dict }}
{{- with .Values.tls.caKey }}{{ $_ := set $tls "ca_file" "/var/run/secrets/mimecast-eventd-tls/ca.crt" }}{{ end }}
{{- if .Values.tls.clientCertificate }}
{{- $_ := set $tls "cert_file" "/var/run/secrets/mimecast-eventd-tls/tls.crt" }}
{{- $_ := set $tls "key_file" "/var/run/secrets/mimecast-eventd-tls/tls.key" }}
{{- end }}
{{- $_ := set $config.amqp "tls" $tls }}
{{- end }}
{{- toJson $config }}
{{- end }}

{{/* The settings file. */}}
{{- define "mimecast-eventd.settingsFile" -}}
# Made by the chart from `config`. Secrets are not in here.
{{- include "mimecast-eventd.toml" (dict "path" "" "table" (include "mimecast-eventd.config" . | fromJson)) }}
{{- end }}

{{/*
A table of TOML; call with (dict "path" "" "table" map). Written by hand because toToml makes 16.0 of 16, which
the daemon refuses. A JSON string is a TOML string, a JSON list of strings a TOML list.
*/}}
{{- define "mimecast-eventd.toml" -}}
{{- $path := .path }}
{{- range $name, $value := .table }}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value) (eq (toString $value) "")) }}
{{ include "mimecast-eventd.toml.name" $name }} = {{ if kindIs "float64" $value }}{{ int64 $value }}{{ else }}{{ toJson $value }}{{ end }}
{{- end }}
{{- end }}
{{- range $name, $value := .table }}
{{- if kindIs "map" $value }}
{{- $inner := printf "%s%s%s" $path (empty $path | ternary "" ".") (include "mimecast-eventd.toml.name" $name) }}
{{- $text := include "mimecast-eventd.toml" (dict "path" $inner "table" $value) }}
{{- if hasPrefix "\n\n[" $text }}
{{- $text }}
{{- else if $text }}

[{{ $inner }}]
{{- $text }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "mimecast-eventd.toml.name" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . }}{{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{/* Every secret of the daemon: name in the values, key in its settings, and with which `mimecast.auth` it is needed. */}}
{{- define "mimecast-eventd.secretTable" -}}
- {name: amqpUrl, key: amqp.url, auth: any}
- {name: amqpPassword, key: amqp.password, auth: any}
- {name: amqpManagementUrl, key: amqp.management_url, auth: any}
- {name: amqpCopyKey, key: amqp.copy_key, auth: any}
- {name: pseudonymKey, key: log.pseudonym_key, auth: any}
- {name: accessKey, key: mimecast.access_key, auth: hmac}
- {name: secretKey, key: mimecast.secret_key, auth: hmac}
- {name: appId, key: mimecast.app_id, auth: hmac}
- {name: appKey, key: mimecast.app_key, auth: hmac}
- {name: clientId, key: mimecast.client_id, auth: oauth2}
- {name: clientSecret, key: mimecast.client_secret, auth: oauth2}
{{- end }}

{{/* Whether any of secrets.values is set. */}}
{{- define "mimecast-eventd.hasSecretValues" -}}
{{- range .Values.secrets.values }}{{ if . }}true{{ end }}{{ end }}
{{- end }}

{{/* The name of the secret that is mounted; empty if there is none. */}}
{{- define "mimecast-eventd.secretName" -}}
{{- if .Values.secrets.existingSecret }}
{{- tpl .Values.secrets.existingSecret . }}
{{- else if or .Values.secrets.externalSecret.enabled (include "mimecast-eventd.hasSecretValues" .) }}
{{- include "mimecast-eventd.fullname" . }}-credentials
{{- end }}
{{- end }}

{{/* The secrets that the daemon gets as files, as a JSON list of {name, key, file, variable}. */}}
{{- define "mimecast-eventd.secretFiles" -}}
{{- $files := list }}
{{- $values := .Values.secrets.values }}
{{- $keys := .Values.secrets.keys }}
{{- $auth := .Values.config.mimecast.auth }}
{{- $byValue := and (not .Values.secrets.existingSecret) (not .Values.secrets.externalSecret.enabled) }}
{{- if include "mimecast-eventd.secretName" . }}
{{- range include "mimecast-eventd.secretTable" . | fromYamlArray }}
{{- $needed := or (eq .auth "any") (eq .auth $auth) }}
{{- if and $needed (get $keys .name) (or (not $byValue) (get $values .name)) }}
{{- $variable := printf "EVENTD_%s_FILE" (.key | replace "." "__" | upper) }}
{{- $file := .key | replace "." "-" | replace "_" "-" }}
{{- $files = append $files (dict "name" .name "key" (get $keys .name) "file" $file "variable" $variable) }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $files }}
{{- end }}

{{/* The container's environment as a JSON list: the secrets' files, then extraEnv. */}}
{{- define "mimecast-eventd.env" -}}
{{- $env := list }}
{{- range include "mimecast-eventd.secretFiles" . | fromJsonArray }}
{{- $env = append $env (dict "name" .variable "value" (printf "/var/run/secrets/mimecast-eventd/%s" .file)) }}
{{- end }}
{{- range include "mimecast-eventd.rendered" (dict "root" . "value" .Values.extraEnv) | fromYamlArray }}
{{- $env = append $env . }}
{{- end }}
{{- toJson $env }}
{{- end }}
