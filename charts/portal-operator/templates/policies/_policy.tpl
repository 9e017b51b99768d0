{{/*
A policy and its binding. Takes a dict: root, name, resources, operations; conditions, variables and validations as YAML;
actions, unless it refuses.

* Exempt by name are the operator, the two controllers that delete what others have decided to delete, and the controller
  manager where its controllers have no ServiceAccounts of their own. Nothing else may stop them, a namespace would stay
  for ever.
* The version is named: the API server checks the types of no expression whose rule has a wildcard. Later versions are
  converted before (matchPolicy Equivalent).
* A check costs 350,000 units, an expression may spend 1,000,000 and a policy 10,000,000: two checks an expression, and
  some twenty-five a policy.
* The API server works out the messages of all expressions, kept or not: conditions keep it from doing so for nothing.
*/}}
{{- define "portal-operator.policy" -}}
{{- $root := .root }}
{{- $name := printf "%s-%s" (include "portal-operator.clusterName" $root) .name }}
{{- $own := printf "system:serviceaccount:%s:%s" $root.Release.Namespace (include "portal-operator.serviceAccount" $root) }}
{{- $exempt := concat (list $own "system:serviceaccount:kube-system:generic-garbage-collector" "system:serviceaccount:kube-system:namespace-controller" "system:kube-controller-manager") $root.Values.policies.exempt }}
{{- $selector := deepCopy $root.Values.policies.namespaceSelector }}
{{- with $root.Values.namespaces }}
{{- $served := dict "key" "kubernetes.io/metadata.name" "operator" "In" "values" . }}
{{- $selector = set $selector "matchExpressions" (append ($selector.matchExpressions | default list) $served) }}
{{- end -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ $name }}
  labels:
    {{- include "portal-operator.labels" $root | nindent 4 }}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - apiGroups: [portal-operator.dev]
      apiVersions: [v1alpha1]
      operations: {{ toJson .operations }}
      resources: {{ toJson .resources }}
  matchConditions:
  - name: not-exempt
    expression: >-
      !(request.userInfo.username in {{ toJson $exempt }})
  {{- with .conditions }}
  {{- . | trim | nindent 2 }}
  {{- end }}
  {{- with .variables }}
  variables:
  {{- . | trim | nindent 2 }}
  {{- end }}
  validations:
  {{- .validations | trim | nindent 2 }}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}
  labels:
    {{- include "portal-operator.labels" $root | nindent 4 }}
spec:
  policyName: {{ $name }}
  validationActions: [{{ .actions | default "Deny" }}]
  matchResources:
    namespaceSelector: {{ toJson $selector }}
{{- end -}}

{{/* Whether the namespace goes, and all in it: nobody may stop that. namespaceObject is empty in matchConditions. */}}
{{- define "portal-operator.going" -}}
- name: going
  expression: >-
    request.operation == 'DELETE' && namespaceObject.metadata.?deletionTimestamp.hasValue()
{{- end -}}

{{/* The condition that somebody changed the object: the API server itself rewrites objects when versions change. */}}
{{- define "portal-operator.changed" -}}
- name: changed
  expression: >-
    request.operation != 'UPDATE' || object.spec != oldObject.spec
    || object.metadata.?labels.orValue({}) != oldObject.metadata.?labels.orValue({})
    || object.metadata.?annotations.orValue({}) != oldObject.metadata.?annotations.orValue({})
    || object.metadata.?finalizers.orValue([]) != oldObject.metadata.?finalizers.orValue([])
    || object.metadata.?ownerReferences.orValue([]).map(o, o.uid) != oldObject.metadata.?ownerReferences.orValue([]).map(o, o.uid)
{{- end -}}

{{/* CEL: whether this update gives the object to another owner. The garbage collector deletes it when that one is gone. */}}
{{- define "portal-operator.adopted" -}}
(request.operation == 'UPDATE' && object.metadata.?ownerReferences.orValue([]).exists(o, !oldObject.metadata.?ownerReferences.orValue([]).exists(p, p.uid == o.uid)))
{{- end -}}

{{/* CEL: whether the address is another one, as far as CEL can tell: trimmed, in lower case. */}}
{{- define "portal-operator.readdressed" -}}
(request.operation == 'UPDATE' && object.spec.email.trim().lowerAscii() != oldObject.spec.email.trim().lowerAscii())
{{- end -}}

{{/* CEL: what may be done about a refusal. Takes a dict: verb, resource, name (CEL; absent: all). */}}
{{- define "portal-operator.ask" -}}
'; it takes the verb {{ .verb }} on {{ .resource }}.portal-operator.dev {{ if .name }}"' + {{ .name }} + '"{{ else }}without resourceNames{{ end }} in namespace ' + request.namespace
{{- end -}}
