package events

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// CloudEvent is an event on the wire.
type CloudEvent struct {
	SpecVersion     string        `json:"specversion"`
	ID              string        `json:"id"`
	Source          string        `json:"source"`
	Type            string        `json:"type"`
	Time            string        `json:"time,omitempty"`
	Subject         string        `json:"subject,omitempty"`
	DataContentType string        `json:"datacontenttype"`
	Data            resource.Tree `json:"data"`

	// ExternalKey, Custom and Variables become Data.
	ExternalKey       string        `json:"-"`
	Custom, Variables resource.Tree `json:"-"`
}

// Encode returns the event as structured JSON.
func (e CloudEvent) Encode() ([]byte, error) {
	e.SpecVersion, e.DataContentType = "1.0", "application/json"
	e.Data = resource.Tree{}
	maps.Copy(e.Data, e.Variables)
	if e.ExternalKey != "" {
		e.Data["external_key"] = e.ExternalKey
	}
	if len(e.Custom) > 0 {
		e.Data["custom_fields"] = e.Custom
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode the event: %w", err)
	}
	return raw, nil
}
