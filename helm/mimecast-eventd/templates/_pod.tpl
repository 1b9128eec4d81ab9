{{/*
What the daemon's pods and the test pod have in common. Both must see the same settings, secrets and network, or the
test would test something else.
*/}}
{{- define "mimecast-eventd.podSpec" -}}
serviceAccountName: {{ include "mimecast-eventd.serviceAccountName" . | quote }}
automountServiceAccountToken: {{ .Values.serviceAccount.automountServiceAccountToken }}
# Or each Service called eventd-… in the namespace would make EVENTD_… variables, which the daemon refuses as unknown.
enableServiceLinks: false
{{- include "mimecast-eventd.imagePullSecrets" . }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- with .Values.schedulerName }}
schedulerName: {{ . | quote }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "mimecast-eventd.rendered" (dict "root" . "value" .Values.tolerations) }}
tolerations:
  {{- . | nindent 2 }}
{{- end }}
{{- with include "mimecast-eventd.rendered" (dict "root" . "value" .Values.affinity) }}
affinity:
  {{- . | nindent 2 }}
{{- end }}
volumes:
  - name: config
    configMap:
      name: {{ include "mimecast-eventd.fullname" . | quote }}
  # For the socket of `pause` and `resume`, and nothing else.
  - name: runtime
    emptyDir:
      medium: Memory
      sizeLimit: 1Mi
  {{- with include "mimecast-eventd.secretFiles" . | fromJsonArray }}
  - name: secrets
    secret:
      secretName: {{ include "mimecast-eventd.secretName" $ | quote }}
      # kubelet adds the group in fsGroup, which makes it 0440 for a process that is not root.
      defaultMode: 0400
      items:
        {{- range . }}
        - key: {{ .key | quote }}
          path: {{ .file }}
        {{- end }}
  {{- end }}
  {{- if .Values.tls.existingSecret }}
  - name: tls
    secret:
      secretName: {{ tpl .Values.tls.existingSecret . | quote }}
      defaultMode: 0400
      items:
        {{- with .Values.tls.caKey }}
        - key: {{ . | quote }}
          path: ca.crt
        {{- end }}
        {{- if .Values.tls.clientCertificate }}
        - key: {{ .Values.tls.certKey | quote }}
          path: tls.crt
        - key: {{ .Values.tls.keyKey | quote }}
          path: tls.key
        {{- end }}
  {{- end }}
  {{- with include "mimecast-eventd.rendered" (dict "root" . "value" .Values.extraVolumes) }}
  {{- . | nindent 2 }}
  {{- end }}
{{- with include "mimecast-eventd.rendered" (dict "root" . "value" .Values.extraPodSpec) }}
{{ . }}
{{- end }}
{{- end }}

{{/* What the containers of both have in common. */}}
{{- define "mimecast-eventd.containerSpec" -}}
image: {{ include "mimecast-eventd.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with .Values.containerSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "mimecast-eventd.env" . | fromJsonArray }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
# Whole folders, not subPath: a file mounted by subPath never changes.
volumeMounts:
  - name: config
    mountPath: /etc/mimecast-eventd
    readOnly: true
  - name: runtime
    mountPath: /run/mimecast-eventd
  {{- if include "mimecast-eventd.secretFiles" . | fromJsonArray }}
  - name: secrets
    mountPath: /var/run/secrets/mimecast-eventd
    readOnly: true
  {{- end }}
  {{- if .Values.tls.existingSecret }}
  - name: tls
    mountPath: /var/run/secrets/mimecast-eventd-tls
    readOnly: true
  {{- end }}
  {{- with include "mimecast-eventd.rendered" (dict "root" . "value" .Values.extraVolumeMounts) }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* The probes of the daemon. */}}
{{- define "mimecast-eventd.probes" -}}
{{- include "mimecast-eventd.probe" (dict "name" "startupProbe" "probe" .Values.startupProbe "path" "/livez") }}
{{- include "mimecast-eventd.probe" (dict "name" "livenessProbe" "probe" .Values.livenessProbe "path" "/livez") }}
{{- include "mimecast-eventd.probe" (dict "name" "readinessProbe" "probe" .Values.readinessProbe "path" "/readyz") }}
{{- end }}

{{/* One of them, or nothing; call with (dict "name" "livenessProbe" "probe" map "path" "/livez"). */}}
{{- define "mimecast-eventd.probe" -}}
{{- if .probe.enabled }}
{{ .name }}:
  {{- if .probe.custom }}
  {{- toYaml .probe.custom | nindent 2 }}
  {{- else }}
  httpGet:
    path: {{ .path }}
    port: metrics
  {{- toYaml (omit .probe "enabled" "custom") | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Topology spread constraints; those without a selector get the pods' own. */}}
{{- define "mimecast-eventd.topologySpreadConstraints" -}}
{{- $selector := dict "matchLabels" (include "mimecast-eventd.selectorLabels" . | fromYaml) }}
{{- $constraints := list }}
{{- range include "mimecast-eventd.rendered" (dict "root" . "value" .Values.topologySpreadConstraints) | fromYamlArray }}
{{- if not (hasKey . "labelSelector") }}{{ $_ := set . "labelSelector" $selector }}{{ end }}
{{- $constraints = append $constraints . }}
{{- end }}
{{- if $constraints }}
{{- toYaml $constraints }}
{{- end }}
{{- end }}
