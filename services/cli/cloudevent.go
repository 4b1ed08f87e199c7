package cli

import (
	"encoding/json"
	"fmt"
	"maps"
)

// cloudEvent is an event on the wire.
type cloudEvent struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Time            string `json:"time,omitempty"`
	Subject         string `json:"subject,omitempty"`
	DataContentType string `json:"datacontenttype"`
	Data            tree   `json:"data"`

	// ExternalKey, Custom and Variables become Data.
	ExternalKey       string `json:"-"`
	Custom, Variables tree   `json:"-"`
}

func (e cloudEvent) encode() ([]byte, error) {
	e.SpecVersion, e.DataContentType = "1.0", "application/json"
	e.Data = tree{}
	maps.Copy(e.Data, e.Variables)
	if e.ExternalKey != "" {
		e.Data["external_key"] = e.ExternalKey
	}
	if len(e.Custom) > 0 {
		e.Data["custom_fields"] = e.Custom
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("write the event: %w", err)
	}
	return raw, nil
}
