{{/* The names of a release: of its objects in its namespace, and of those that a whole cluster sees. */}}

{{- define "portal-operator.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end -}}

{{/* Short enough for a suffix such as -link-keys. */}}
{{- define "portal-operator.fullname" -}}
{{- $name := include "portal-operator.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 45 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 45 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 45 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* Of objects without a namespace: a release of the same name in another namespace has others. */}}
{{- define "portal-operator.clusterName" -}}
{{ printf "%s-%s" .Release.Namespace (include "portal-operator.fullname" .) }}
{{- end -}}

{{- define "portal-operator.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "portal-operator.fullname" .) }}
{{- end -}}

{{- define "portal-operator.linkKeys" -}}
{{ .Values.linkKeys.existingSecret | default (printf "%s-link-keys" (include "portal-operator.fullname" .)) }}
{{- end -}}

{{- define "portal-operator.selector" -}}
app.kubernetes.io/name: {{ include "portal-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "portal-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "portal-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: portal-operator
{{- end -}}

{{- define "portal-operator.publicURL" -}}
{{ required "publicURL is missing: where people reach the page, such as https://invite.example.com" .Values.publicURL }}
{{- end -}}

{{/* The host of publicURL, without a port. */}}
{{- define "portal-operator.publicHost" -}}
{{ (urlParse (include "portal-operator.publicURL" .)).host | splitList ":" | first }}
{{- end -}}

{{- define "portal-operator.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}
