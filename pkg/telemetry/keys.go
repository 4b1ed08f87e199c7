package telemetry

import "github.com/outbound-events/outbound/pkg/logkey"

// Keys of log lines, span attributes and metric labels. One thing has one key everywhere.
const (
	KeyService     = "service"
	KeyVersion     = "version"
	KeyError       = logkey.Error
	KeyRecipient   = logkey.Recipient
	KeyChannel     = "channel"
	KeyEventID     = "event_id"
	KeyEventType   = "event_type"
	KeyAppliance   = "appliance"
	KeyReplay      = "replay"
	KeyTest        = "test"
	KeySequence    = "sequence"
	KeyAttempt     = "attempt"
	KeyVerdict     = "verdict"
	KeyState       = "state"
	KeyReason      = "reason"
	KeyDetail      = "detail"
	KeyStatus      = "status"
	KeyTook        = "took_ms"
	KeyNextAttempt = "next_attempt"
	KeyMethod      = "method"
	KeyRole        = "role"
	KeyPath        = "path"
	KeyStream      = "stream"
	KeyDecision    = "decision"
	KeyViolations  = "violations"
	KeyField       = "field"
	KeyVia         = "via"
	KeyClient      = "client"
	KeyTraceID     = "trace_id"
)

// MetricPrefix begins the name of every metric of ours.
const MetricPrefix = "outbound_"
