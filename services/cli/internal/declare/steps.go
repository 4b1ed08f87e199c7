package declare

import (
	"context"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// step is one resource of a plan.
type step struct {
	Action   action   `json:"action"`
	Resource string   `json:"resource"`
	Changes  []change `json:"changes,omitempty"`
	// Notes are printed after the step, e.g. a secret that is shown once.
	Notes []string `json:"notes,omitempty"`
	// Missing are the fields of secrets that are neither in the file nor stored.
	Missing []string `json:"missing,omitempty"`
	// Faults are why the server would refuse the step.
	Faults []fault `json:"faults,omitempty"`

	// where the resource is declared.
	where    string
	kind, id string
	// planned is the call of the step, for the check; nil if there is nothing to do.
	planned *outboundv1.PlannedChange
	do      func(ctx context.Context, s *step) error
}

// action is what a step does.
type action string

const (
	actionCreate action = "create"
	actionChange action = "change"
	actionDelete action = "delete"
	actionNone   action = "none"
)
