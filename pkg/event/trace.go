package event

import (
	"bytes"
	"encoding/json"
)

// TraceParent returns the attribute traceparent (CloudEvents distributed tracing extension) of an event in structured JSON, as it was sent;
// empty if it has none or can't be read.
func TraceParent(raw []byte) string {
	if len(raw) > MaxSize || !bytes.Contains(raw, []byte(`"traceparent"`)) {
		return ""
	}
	var x struct {
		TraceParent string `json:"traceparent"`
	}
	if json.Unmarshal(raw, &x) != nil {
		return ""
	}
	return x.TraceParent
}
