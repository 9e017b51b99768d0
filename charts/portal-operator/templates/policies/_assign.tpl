{{/*
What is given and taken by a write, as variables. Takes a dict: kind (users, groups or invitations).

A role on a branch is a line `scope role`, a role in the whole tenant one that begins with the blank. Given and taken is
what only one side of an update has. `whole` is a change by which all roles change hands: another address is another
person, a suspension takes them all.
*/}}
{{- define "portal-operator.assign.variables" -}}
{{- if ne .kind "invitations" }}
{{ include "portal-operator.going" . }}
{{- end }}
- name: before
  expression: >-
    request.operation == 'CREATE' ? [] : {{ include "portal-operator.lines" "oldObject" }}
- name: after
  expression: >-
    request.operation == 'DELETE' ? [] : {{ include "portal-operator.lines" "object" }}
- name: whole
  expression: >-
    {{- if eq .kind "users" }}
    {{ include "portal-operator.adopted" . }} || {{ include "portal-operator.readdressed" . }}
    || request.operation == 'UPDATE' && (object.spec.?state.orValue('Active') != oldObject.spec.?state.orValue('Active')
    || object.spec.?homeTenantRef.?name.orValue('') != oldObject.spec.?homeTenantRef.?name.orValue(''))
    {{- else if eq .kind "groups" }}
    {{ include "portal-operator.adopted" . }}
    {{- else }}
    request.operation == 'UPDATE' && (object.spec.?homeTenantRef.?name.orValue('') != oldObject.spec.?homeTenantRef.?name.orValue('')
    || object.spec.?invitedByRef.?name.orValue('') != oldObject.spec.?invitedByRef.?name.orValue('')
    || object.spec.?delivery.orValue('') != oldObject.spec.?delivery.orValue('')
    || object.spec.?sendAt != oldObject.spec.?sendAt || object.spec.?notAfter != oldObject.spec.?notAfter
    || oldObject.spec.?revoked.orValue(false) && !object.spec.?revoked.orValue(false))
    {{- end }}
- name: touched
  expression: >-
    variables.after.filter(l, variables.whole || !(l in variables.before)) + variables.before.filter(l, !(l in variables.after))
    {{- if eq .kind "users" }}
    {{- /* What the portal gives to a tenant's first user stands in no spec, and changes hands with the account. */}}
    + (request.operation == 'DELETE' || variables.whole ? oldObject.?status.?firstUserOf.orValue([]).map(r, ' ' + r) : [])
    {{- end }}
- name: named
  expression: variables.touched.map(l, l.substring(l.indexOf(' ') + 1))
{{- /* At most 160 lines on each side (32 roles, and 32 grants of 4), and the first user's. */}}
- name: roles
  expression: >-
    {{ until 352 | toJson }}.filter(i, i < variables.named.size() && variables.named.indexOf(variables.named[i]) == i)
    .map(i, variables.named[i])
{{- /* Whoever may assign all needs no look at each name. For one or two the look is as cheap. */}}
- name: anyRole
  expression: >-
    variables.roles.size() > 2
    && authorizer.group('portal-operator.dev').resource('roles').namespace(request.namespace).check('assign').allowed()
{{- if ne .kind "groups" }}
- name: left
  expression: "request.operation == 'CREATE' ? [] : oldObject.spec.?groups.orValue([])"
- name: joined
  expression: "request.operation == 'DELETE' ? [] : object.spec.?groups.orValue([])"
- name: groups
  expression: >-
    variables.joined.filter(g, variables.whole || !(g in variables.left)) + variables.left.filter(g, !(g in variables.joined))
- name: anyGroup
  expression: >-
    variables.groups.size() > 2
    && authorizer.group('portal-operator.dev').resource('groups').namespace(request.namespace).check('assign').allowed()
{{- end }}
{{- end -}}

{{/* CEL: the lines of an object's roles. A grant has one to four. */}}
{{- define "portal-operator.lines" -}}
{{ . }}.spec.?roles.orValue([]).map(r, ' ' + r)
{{- $object := . }}
{{- range until 4 }} + {{ $object }}.spec.?grants.orValue([]).filter(g, g.roles.size() > {{ . }}).map(g, g.scope + ' ' + g.roles[{{ . }}])
{{- end }}
{{- end -}}

{{/*
One check for each name, in an expression of its own: messages can ask nothing, so that only this way they tell which name
it was. Takes a dict: list and any (variables), resource, from, count, most, going.
Names are counted before anything is asked: most writes change few.
*/}}
{{- define "portal-operator.assign.validations" -}}
{{- $list := printf "variables.%s" .list }}
{{- $pass := printf "%s || variables.%s" .going .any }}
{{- $resource := .resource }}
- expression: >-
    {{ $list }}.size() <= {{ .from }} || {{ $pass }} || {{ $list }}.size() <= {{ .most }}
  reason: Forbidden
  message: >-
    more than {{ .most }} {{ $resource }} change hands in one write: change fewer at a time; it takes the verb assign on
    {{ $resource }}.portal-operator.dev without resourceNames to change so many
{{- range $i := untilStep .from (int (add .from .count)) 1 }}
- expression: >-
    {{ $list }}.size() <= {{ $i }} || {{ $pass }} || authorizer.group('portal-operator.dev').resource('{{ $resource }}')
    .namespace(request.namespace).name({{ $list }}[{{ $i }}]).check('assign').allowed()
  reason: Forbidden
  messageExpression: >-
    {{ $list }}.size() <= {{ $i }} ? '' : 'you may not give or take the {{ $resource | trimSuffix "s" }} ' + {{ $list }}[{{ $i }}]
    + {{ include "portal-operator.ask" (dict "verb" "assign" "resource" $resource "name" (printf "%s[%d]" $list $i)) }}
{{- end }}
{{- end -}}

{{/*
Conditions under which roles can change hands at all. Takes a dict: kind and part. The second one sees whether there may
be more names than the first one takes.
*/}}
{{- define "portal-operator.assign.conditions" -}}
- name: changed
  expression: request.operation != 'UPDATE' || object.spec != oldObject.spec || {{ include "portal-operator.adopted" . }}
{{- if .part }}
- name: many
  expression: >-
    (request.operation == 'CREATE' ? 0 : oldObject.spec.?roles.orValue([]).size() + 4 * oldObject.spec.?grants.orValue([]).size()
    {{- if eq .kind "users" }} + oldObject.?status.?firstUserOf.orValue([]).size(){{ end }})
    + (request.operation == 'DELETE' ? 0 : object.spec.?roles.orValue([]).size() + 4 * object.spec.?grants.orValue([]).size()) > 16
{{- end }}
{{- end -}}
