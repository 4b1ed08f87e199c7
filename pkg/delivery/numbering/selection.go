package numbering

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Selection says which events have a number for a recipient: those that its queue is given.
type Selection struct {
	// Types are the event types, sorted.
	Types []string `json:"types,omitempty"`
	// Appliances, sorted; empty: all.
	Appliances []string `json:"appliances,omitempty"`
}

// NewSelection makes a selection of types and appliances in any order.
func NewSelection(types, appliances []string) Selection {
	return Selection{Types: sorted(types), Appliances: sorted(appliances)}
}

func sorted(in []string) []string {
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}

// Equal reports whether two selections are the same.
func (s Selection) Equal(o Selection) bool {
	return slices.Equal(s.Types, o.Types) && slices.Equal(s.Appliances, o.Appliances)
}

// Has reports whether an event is selected.
func (s Selection) Has(appliance, eventType string) bool {
	_, found := slices.BinarySearch(s.Types, eventType)
	if found && len(s.Appliances) > 0 {
		_, found = slices.BinarySearch(s.Appliances, appliance)
	}
	return found
}

// Both is what two selections have in common.
func (s Selection) Both(o Selection) Selection {
	out := Selection{Types: common(s.Types, o.Types)}
	switch {
	case len(s.Appliances) == 0:
		out.Appliances = o.Appliances
	case len(o.Appliances) == 0:
		out.Appliances = s.Appliances
	default:
		if out.Appliances = common(s.Appliances, o.Appliances); len(out.Appliances) == 0 {
			return Selection{}
		}
	}
	if len(out.Types) == 0 {
		return Selection{}
	}
	return out
}

func common(a, b []string) (out []string) {
	for _, x := range a {
		if _, found := slices.BinarySearch(b, x); found {
			out = append(out, x)
		}
	}
	return out
}

// Change says what a recipient selects from its place in EVENTS on.
type Change struct {
	Channel   string `json:"channel"`
	Recipient string `json:"recipient"`
	// Start tells a recipient from an earlier one with the same id: its start sequence in EVENTS.
	Start uint64 `json:"start"`
	// Selection holds behind the change, Before in front of it; nil: nothing was counted there.
	Selection Selection  `json:"selection"`
	Before    *Selection `json:"before,omitempty"`
	// Ended says that the recipient is gone.
	Ended bool `json:"ended,omitempty"`
}

// Encode is the change as it is stored.
func (c Change) Encode() (string, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode the selection of recipient %s: %w", c.Recipient, err)
	}
	return string(b), nil
}

// DecodeChange reads a change as it is stored.
func DecodeChange(s string) (c Change, err error) {
	if err := json.Unmarshal([]byte(s), &c); err != nil {
		return c, fmt.Errorf("decode the selection of a recipient: %w", err)
	}
	return c, nil
}
