{{/* Names and labels. */}}

{{- define "vouchsafe.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* 54 characters: names of other objects are this one and up to nine more. */}}
{{- define "vouchsafe.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 54 | trimSuffix "-" }}
{{- else }}
{{- $name := include "vouchsafe.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 54 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 54 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "vouchsafe.serviceAccount" -}}
{{- default (include "vouchsafe.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "vouchsafe.priorityClass" -}}
{{- if .Values.priorityClass.create }}
{{- default (include "vouchsafe.fullname" .) .Values.priorityClass.name }}
{{- else }}
{{- .Values.priorityClass.name }}
{{- end }}
{{- end }}

{{- define "vouchsafe.selector" -}}
app.kubernetes.io/name: {{ include "vouchsafe.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "vouchsafe.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "vouchsafe.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: admission-webhook
app.kubernetes.io/part-of: vouchsafe
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The metadata of an object. Takes a list: the root, the name, more annotations; a name alone for what has no namespace. */}}
{{- define "vouchsafe.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
labels:
  {{- include "vouchsafe.labels" $root | nindent 2 }}
{{- $annotations := dict }}
{{- range rest (rest .) }}{{ $annotations = merge $annotations (. | default dict) }}{{ end }}
{{- $annotations = merge $annotations $root.Values.commonAnnotations }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "vouchsafe.namespaced" -}}
{{ include "vouchsafe.metadata" . }}
namespace: {{ (index . 0).Release.Namespace }}
{{- end }}

{{- define "vouchsafe.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "vouchsafe.serviceHost" -}}
{{ include "vouchsafe.fullname" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{/* The Secret with the serving certificate. */}}
{{- define "vouchsafe.tlsSecret" -}}
{{- if eq .Values.tls.mode "secret" }}
{{- required "tls.secretName is needed with tls.mode secret: the Secret with tls.crt and tls.key" .Values.tls.secretName }}
{{- else if eq .Values.tls.mode "certManager" }}
{{- include "vouchsafe.fullname" . }}-serving
{{- else }}
{{- include "vouchsafe.fullname" . }}-tls
{{- end }}
{{- end }}
