{{/* What the webhook configurations share. docs/webhook.md says what is judged; tests/chart.rs holds the conditions to it. */}}

{{/* Every kind that src/workload/kinds.rs reads, and those of `kinds`. */}}
{{- define "vouchsafe.rules" -}}
{{ include "vouchsafe.podRules" . }}
- apiGroups: [""]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [podtemplates, replicationcontrollers]
  scope: Namespaced
- apiGroups: [apps]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [daemonsets, deployments, replicasets, statefulsets]
  scope: Namespaced
- apiGroups: [batch]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [cronjobs, jobs]
  scope: Namespaced
{{- range .Values.kinds }}
- apiGroups: [{{ .group }}]
  apiVersions: ["*"]
  operations: [CREATE, UPDATE]
  resources: [{{ .resource }}]
  scope: "*"
{{- end }}
{{- end }}

{{- define "vouchsafe.podRules" -}}
- apiGroups: [""]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [pods]
  scope: Namespaced
- apiGroups: [""]
  apiVersions: [v1]
  operations: [UPDATE]
  resources: [pods/ephemeralcontainers]
  scope: Namespaced
{{- end }}

{{/* Covered namespaces. Never our own: we could not come back from zero. There is no objectSelector: whoever writes an object chooses its labels. */}}
{{- define "vouchsafe.namespaceSelector" -}}
matchExpressions:
{{- if eq .Values.scope "labelled" }}
  - key: policy.sigstore.dev/include
    operator: In
    values: ["true"]
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values: [{{ .Release.Namespace }}]
{{- else }}
{{- if .Values.exemptByLabel }}
  - key: policy.sigstore.dev/include
    operator: NotIn
    values: ["false"]
{{- end }}
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values:
      {{- prepend .Values.excludedNamespaces .Release.Namespace | uniq | toYaml | nindent 6 }}
{{- end }}
{{- with .Values.webhooks.namespaceSelector }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
What keeps requests away that change nothing that runs, so that they pass while nobody is there to judge: edits of metadata, scaling
down, whatever else an UPDATE does beside images, templates and more replicas. It must never keep away what src/workload/changes.rs
would judge; where a field is missing the request comes to us. Pods may be changed in the named fields, of which none holds an image.
Custom resources are kept away when nothing but metadata and status changed.
*/}}
{{- define "vouchsafe.matchConditions" -}}
{{- $metadata := list "metadata" "status" -}}
{{- range .Values.kinds }}
{{- range concat (.podSpecs | default list) (.images | default list) }}
{{- if hasPrefix "/metadata" . }}{{ $metadata = list "status" }}{{ end }}
{{- end }}
{{- end -}}
- name: changes-what-runs
  expression: |-
    request.operation != 'UPDATE' ||
    (request.kind.group == '' && request.kind.kind == 'Pod' ?
      !(has(object.spec) && has(oldObject.spec) &&
        {{ include "vouchsafe.same" (list "object.spec" "oldObject.spec" (list "activeDeadlineSeconds" "affinity" "nodeSelector" "overhead" "resources" "schedulingGates" "terminationGracePeriodSeconds" "tolerations" "topologySpreadConstraints")) | indent 8 | trim }})
    : request.kind.group == '' && request.kind.kind == 'PodTemplate' ?
      !(has(object.template) && has(oldObject.template) && object.template == oldObject.template)
    : request.kind.group == 'batch' && request.kind.kind == 'CronJob' ?
      !(has(object.spec.jobTemplate.spec.template) && has(oldObject.spec.jobTemplate.spec.template) &&
        object.spec.jobTemplate.spec.template == oldObject.spec.jobTemplate.spec.template)
    : {{ if .Values.kinds }}request.kind.group in ['', 'apps', 'batch'] ?
      {{ end }}!(has(object.spec.template) && has(oldObject.spec.template) && object.spec.template == oldObject.spec.template &&
        (has(object.spec.replicas) ? object.spec.replicas : 1) <= (has(oldObject.spec.replicas) ? oldObject.spec.replicas : 1))
    {{- if .Values.kinds }}
    : !({{ include "vouchsafe.same" (list "object" "oldObject" $metadata) | indent 8 | trim }})
    {{- end }})
{{- with .Values.webhooks.matchConditions }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* CEL: whether two maps are equal but for some keys. Takes a list: one map, the other, the keys. */}}
{{- define "vouchsafe.same" -}}
{{- $new := index . 0 }}{{ $old := index . 1 }}{{ $keys := printf "['%s']" (join "', '" (index . 2)) -}}
{{ $new }}.all(k, k in {{ $keys }} || (k in {{ $old }} && {{ $new }}[k] == {{ $old }}[k])) &&
{{ $old }}.all(k, k in {{ $keys }} || k in {{ $new }})
{{- end }}

{{/*
Where the API server finds us. Takes a list: the root, the path. A certificate that is managed is published by the program itself: the field
is never in the chart, so that an upgrade leaves it as it is.
*/}}
{{- define "vouchsafe.clientConfig" -}}
{{- $root := index . 0 -}}
service:
  name: {{ include "vouchsafe.fullname" $root }}
  namespace: {{ $root.Release.Namespace }}
  path: {{ index . 1 }}
  port: {{ $root.Values.service.port | int }}
{{- if and (eq $root.Values.tls.mode "secret") $root.Values.tls.caBundle }}
caBundle: {{ $root.Values.tls.caBundle | b64enc }}
{{- end }}
{{- end }}

{{- define "vouchsafe.webhookAnnotations" -}}
{{- $annotations := deepCopy .Values.webhooks.annotations }}
{{- if eq .Values.tls.mode "certManager" }}
{{- $annotations = set $annotations "cert-manager.io/inject-ca-from" (printf "%s/%s" .Release.Namespace (include "vouchsafe.tlsSecret" .)) }}
{{- end }}
{{- toYaml $annotations }}
{{- end }}
