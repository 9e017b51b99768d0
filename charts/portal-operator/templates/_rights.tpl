{{/* What the operator may do with the data of a namespace: what its code does, and no more. */}}
{{- define "portal-operator.rules" -}}
- apiGroups: [portal-operator.dev]
  resources: [portals, tenants, portalusers, groups, invitations]
  verbs: [get, list, watch]
- apiGroups: [portal-operator.dev]
  resources: [portals/status, tenants/status, portalusers/status, groups/status, invitations/status]
  verbs: [update, patch]     # patch: the answer to an object that cannot be read
- apiGroups: [portal-operator.dev]
  resources: [tenants]
  verbs: [patch]             # annotations: facts that outlive a restore without status
- apiGroups: [portal-operator.dev]
  resources: [portalusers]
  verbs: [create, patch, delete]          # accounts made by acceptance; annotations
- apiGroups: [portal-operator.dev]
  resources: [invitations]
  verbs: [create, update, patch, delete]  # a PortalUser's own invitation; annotations
- apiGroups: [portal-operator.dev]
  resources: [groups]
  verbs: [create, update, delete]         # built-in groups of tenants
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- range .Values.workloads.kinds }}
- apiGroups: [{{ .apiGroup | quote }}]
  resources: [{{ .resource }}]
  verbs: [list, watch]
- apiGroups: [{{ .apiGroup | quote }}]
  resources: [{{ .resource }}/scale]
  verbs: [patch]
{{- end }}
{{- end -}}

{{- define "portal-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "portal-operator.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* A Role and its binding to the operator. Takes a dict: root, namespace, name, rules. */}}
{{- define "portal-operator.role" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "portal-operator.labels" .root | nindent 4 }}
rules:
{{ .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "portal-operator.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
{{ include "portal-operator.subjects" .root }}
{{- end -}}

{{/* Refuses a namespace that this release does not serve. Takes a dict: root, namespace, what. */}}
{{- define "portal-operator.served" -}}
{{- if and .root.Values.namespaces (not (has .namespace .root.Values.namespaces)) -}}
{{- fail (printf "%s names the namespace %s, which is not in namespaces" .what .namespace) -}}
{{- end -}}
{{- end -}}
