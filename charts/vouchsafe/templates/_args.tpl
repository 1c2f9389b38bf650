{{/* The flags of `vouchsafe serve`. tests/chart.rs compares them with its help. */}}

{{/* What is done about tags: in shadow no object is changed, so there are no pins to wait for. */}}
{{- define "vouchsafe.tags" -}}
{{- if and (eq .Values.enforcement "shadow") (hasPrefix "pin" .Values.tags) }}resolve{{ else }}{{ .Values.tags }}{{ end }}
{{- end }}

{{- define "vouchsafe.args" -}}
- serve
- --namespace={{ .Release.Namespace }}
- --enforcement={{ .Values.enforcement }}
- --no-match-policy={{ .Values.noMatchPolicy }}
- --tags={{ include "vouchsafe.tags" . }}
- --listen={{ .Values.listenAddress }}:{{ .Values.ports.webhook | int }}
- --admin-listen={{ .Values.listenAddress }}:{{ .Values.ports.admin | int }}
- --lease={{ include "vouchsafe.fullname" . }}
{{- if eq .Values.tls.mode "managed" }}
- --tls-secret={{ include "vouchsafe.tlsSecret" . }}
- --tls-name={{ include "vouchsafe.serviceHost" . }}
{{- range .Values.tls.extraNames }}
- --tls-name={{ . }}
{{- end }}
- --webhook-configuration={{ include "vouchsafe.fullname" . }}
{{- if .Values.webhooks.policies.enabled }}
- --webhook-configuration={{ include "vouchsafe.fullname" . }}-policies
{{- end }}
{{- range $flag, $value := dict "lifetime" "lifetimeSeconds" "authority-lifetime" "authorityLifetimeSeconds" "grace" "graceSeconds" "overlap" "overlapSeconds" }}
{{- $seconds := get $.Values.tls.managed $value }}
{{- if not (has (kindOf $seconds) (list "invalid" "string")) }}
- --tls-{{ $flag }}={{ $seconds | int64 }}
{{- end }}
{{- end }}
{{- else }}
- --tls-cert=/etc/vouchsafe/tls/tls.crt
- --tls-key=/etc/vouchsafe/tls/tls.key
{{- end }}
- --tls-min-version={{ .Values.tls.minVersion }}
{{- if .Values.clientCa.configMap }}
- --client-ca=/etc/vouchsafe/client-ca/{{ .Values.clientCa.key }}
{{- range .Values.clientCa.names }}
- {{ printf "--client-name=%s" . | quote }}
{{- end }}
{{- end }}
- --stop-delay={{ .Values.stopDelaySeconds | int }}
- --reload-interval={{ .Values.reloadIntervalSeconds | int }}
- --max-stale={{ .Values.maxStaleSeconds | int }}
- --log={{ .Values.log.filter }}
- --log-format={{ .Values.log.format }}
{{- with .Values.denialFooter }}
- {{ printf "--denial-footer=%s" . | quote }}
{{- end }}
{{- if not .Values.rbac.pullSecrets }}
- --pull-secrets=ignore
{{- end }}
{{- if .Values.denialEvents }}
- --denial-events
{{- end }}
{{- if .Values.kinds }}
- --kinds=/etc/vouchsafe/config/kinds.yaml
{{- end }}
{{- if .Values.registries.settingsSecret }}
- --registries=/etc/vouchsafe/registries/registries.yaml
{{- else if .Values.registries.settings }}
- --registries=/etc/vouchsafe/config/registries.yaml
{{- end }}
{{- range .Values.registries.insecure }}
- {{ printf "--insecure-registry=%s" . | quote }}
{{- end }}
{{- range .Values.registries.cloudCredentials }}
- --cloud-credentials={{ . }}
{{- end }}
{{- range .Values.registries.cloudRegistries }}
- {{ printf "--cloud-registry=%s" . | quote }}
{{- end }}
{{- if .Values.registries.caConfigMap }}
- --registry-ca=/etc/vouchsafe/registry-ca/{{ .Values.registries.caKey }}
{{- else if .Values.registries.ca }}
- --registry-ca=/etc/vouchsafe/config/registry-ca.pem
{{- end }}
{{- if .Values.trust.trustedRoot }}
- --trusted-root=/etc/vouchsafe/config/trusted_root.json
{{- end }}
{{- with .Values.trust.tufMirror }}
- --tuf-mirror={{ . }}
{{- end }}
{{- if .Values.trust.tufRoot }}
- --tuf-root=/etc/vouchsafe/config/root.json
{{- end }}
- --state-dir=/var/lib/vouchsafe
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What of the values is a file: the data of the ConfigMap. Empty where there is none. */}}
{{- define "vouchsafe.files" -}}
{{- with .Values.kinds }}
kinds.yaml: |
  {{- toYaml (dict "kinds" .) | nindent 2 }}
{{- end }}
{{- with .Values.registries.settings }}
registries.yaml: |
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.registries.ca }}
registry-ca.pem: |
  {{- . | nindent 2 }}
{{- end }}
{{- with .Values.trust.trustedRoot }}
trusted_root.json: |
  {{- . | nindent 2 }}
{{- end }}
{{- with .Values.trust.tufRoot }}
root.json: |
  {{- . | nindent 2 }}
{{- end }}
{{- end }}
