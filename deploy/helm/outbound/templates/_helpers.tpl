{{- define "outbound.name" -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{- end }}

{{/* Labels of everything. */}}
{{- define "outbound.labels" -}}
app.kubernetes.io/name: outbound
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* What selects the pods of a service: list ROOT SERVICE. */}}
{{- define "outbound.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: outbound
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "outbound.natsURL" -}}
{{- if .Values.nats.enabled -}}nats://{{ include "outbound.name" . }}-nats:4222{{- else -}}{{ .Values.nats.url }}{{- end -}}
{{- end }}

{{- define "outbound.streamReplicas" -}}
{{- if .Values.nats.enabled -}}{{ min 3 (int .Values.nats.replicas) }}{{- else -}}{{ .Values.nats.streamReplicas | default 3 }}{{- end -}}
{{- end }}

{{/* The names that services are reached by inside the cluster, which are never posted to. */}}
{{- define "outbound.ownServices" -}}
{{- $n := include "outbound.name" . -}}
{{- $n }}-nats:4222,{{ $n }}-config:7070,{{ $n }}-ingest:7070,{{ $n }}-history:7070,{{ $n }}-console:8080
{{- end }}

{{/* What a service gets of the Secret nats.operatorSecret, as items of a volume: a service's name. */}}
{{- define "outbound.brokerFiles" -}}
{{- $files := list "core.creds" -}}
{{- if has . (list "config" "ingest") -}}{{- $files = append $files "appliances.key" -}}{{- end -}}
{{- if eq . "config" -}}{{- $files = concat $files (list "operator.key" "system.creds") -}}{{- end -}}
[{{- range $i, $file := $files -}}{{- if $i }}, {{ end -}}{key: {{ $file }}, path: {{ $file }}}{{- end -}}]
{{- end }}

{{/* The environment of a service: list ROOT SERVICE. */}}
{{- define "outbound.environment" -}}
{{- $root := index . 0 -}}{{- $service := index . 1 -}}{{- $n := include "outbound.name" $root -}}
- {name: OUTBOUND_HTTP, value: "0.0.0.0:{{ eq $service "console" | ternary "8080" "9090" }}"}
- {name: OUTBOUND_TELEMETRY_LOG_FORMAT, value: json}
- {name: OUTBOUND_SERVICE_TOKEN_FILE, value: /run/secrets/outbound/service.token}
{{- if ne $service "console" }}
- {name: OUTBOUND_NATS_URL, value: {{ include "outbound.natsURL" $root | quote }}}
{{- if $root.Values.nats.operatorSecret }}
- {name: OUTBOUND_NATS_CREDS_FILE, value: /run/secrets/broker/core.creds}
{{- else }}
- {name: OUTBOUND_NATS_USER, value: {{ $root.Values.nats.user | quote }}}
- {name: OUTBOUND_NATS_PASSWORD_FILE, value: /run/secrets/outbound/nats.password}
{{- end }}
{{- end }}
{{- if and $root.Values.nats.operatorSecret (has $service (list "config" "ingest")) }}
- {name: OUTBOUND_BROKER_ACCOUNTS_KEY_FILE, value: /run/secrets/broker/appliances.key}
{{- end }}
{{- if and $root.Values.nats.operatorSecret (eq $service "config") }}
- {name: OUTBOUND_BROKER_ACCOUNTS_OPERATOR_KEY_FILE, value: /run/secrets/broker/operator.key}
- {name: OUTBOUND_BROKER_ACCOUNTS_SYSTEM_CREDS_FILE, value: /run/secrets/broker/system.creds}
{{- end }}
{{- if has $service (list "config" "ingest" "history") }}
- {name: OUTBOUND_GRPC, value: "0.0.0.0:7070"}
- {name: OUTBOUND_ADMIN_TOKEN_FILE, value: /run/secrets/outbound/admin.token}
{{- end }}
{{- if ne $service "config" }}
- {name: OUTBOUND_CONFIG, value: "{{ $n }}-config:7070"}
{{- end }}
{{- if eq $service "console" }}
- {name: OUTBOUND_INGEST, value: "{{ $n }}-ingest:7070"}
- {name: OUTBOUND_HISTORY, value: "{{ $n }}-history:7070"}
{{- end }}
{{- if has $service (list "config" "http-sender" "email-sender") }}
- {name: OUTBOUND_SEAL_KEY_FILE, value: /run/secrets/outbound/seal.key}
{{- end }}
{{- if and $root.Values.checkpoints (eq $service "history") }}
- {name: OUTBOUND_CHECKPOINT_KEY, value: "file:/run/secrets/outbound/checkpoint.key"}
{{- end }}
{{- if has $service (list "config" "http-sender") }}
- {name: OUTBOUND_OWN_SERVICES, value: {{ include "outbound.ownServices" $root | quote }}}
{{- end }}
{{- if eq $service "config" }}
- {name: OUTBOUND_STREAMS_REPLICAS, value: {{ include "outbound.streamReplicas" $root | quote }}}
{{- end }}
{{- if and $root.Values.redis.address (has $service (list "http-sender" "email-sender" "console")) }}
- {name: OUTBOUND_REDIS_ADDRESS, value: {{ $root.Values.redis.address | quote }}}
{{- end }}
{{- if eq $root.Values.tls.mode "none" }}
# The network between the pods is trusted: see tls in values.yaml.
- {name: OUTBOUND_INSECURE, value: "true"}
- {name: OUTBOUND_TELEMETRY_METRICS, value: "0.0.0.0:9464"}
{{- else }}
# The listener of metrics alone has no TLS, so the other one answers them, with a token.
- {name: OUTBOUND_TELEMETRY_METRICS_TOKEN_FILE, value: /run/secrets/outbound/metrics.token}
- {name: OUTBOUND_TLS_CERT_FILE, value: /run/secrets/tls/tls.crt}
- {name: OUTBOUND_TLS_KEY_FILE, value: /run/secrets/tls/tls.key}
- {name: OUTBOUND_TLS_CA_FILE, value: /run/secrets/tls/ca.crt}
{{- end }}
{{- end }}

{{/* The port by name that answers metrics. */}}
{{- define "outbound.metricsPort" -}}
{{- eq .Values.tls.mode "none" | ternary "metrics" "http" -}}
{{- end }}
