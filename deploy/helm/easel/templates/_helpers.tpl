{{/* What the objects are called: the release, which is `easel` for most. */}}
{{- define "easel.name" -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* By what the objects find each other. */}}
{{- define "easel.selector" -}}
app.kubernetes.io/name: easel
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "easel.labels" -}}
{{ include "easel.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* The ports of the config, which are those of the objects. */}}
{{- define "easel.port" -}}
{{- .Values.config.server.listen | splitList ":" | last -}}
{{- end -}}
{{- define "easel.adminPort" -}}
{{- .Values.config.server.admin | splitList ":" | last -}}
{{- end -}}
