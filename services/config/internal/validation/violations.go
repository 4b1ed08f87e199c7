// Package validation collects what is wrong with a request.
package validation

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
)

// Violations are what is wrong with a request, field by field. Fields are in the spelling of the JSON body.
type Violations struct {
	list []rpc.Violation
}

// Add adds a violation. Each field has one: the first is the nearest to the cause.
func (v *Violations) Add(field, reason, description string) {
	for _, f := range v.list {
		if f.Field == field {
			return
		}
	}
	v.list = append(v.list, rpc.Violation{Field: field, Reason: reason, Description: description})
}

// Check adds err, if there is one, as the violation of a field.
func (v *Violations) Check(field string, err error) {
	if err != nil {
		v.Add(field, Invalid, err.Error())
	}
}

// Rules adds what violates the rules of the contract in a message. root stands for the message itself.
func (v *Violations) Rules(rules *rpc.Validator, m proto.Message, root string) error {
	found, err := rules.Check(m, "")
	if err != nil {
		return err
	}
	for _, f := range found {
		if f.Field == "" {
			f.Field = root
		}
		v.Add(f.Field, f.Reason, f.Description)
	}
	return nil
}

// Addresses adds mail addresses that are not valid, and those that are listed twice.
func (v *Violations) Addresses(field string, addresses []string) {
	seen := map[string]bool{}
	for i, a := range addresses {
		at := fmt.Sprintf("%s[%d]", field, i)
		v.Check(at, recipient.CheckAddress(a))
		if same := recipient.SameAddress(a); seen[same] {
			v.Add(at, Duplicate, "is given twice")
		} else {
			seen[same] = true
		}
	}
}

// The reasons of violations beyond those of the rules.
const (
	Invalid     = "INVALID"
	Missing     = "MISSING"
	Duplicate   = "DUPLICATE"
	Reserved    = "RESERVED_NAME"
	UnknownType = "UNKNOWN_TYPE"
	NotByEmail  = "NOT_BY_EMAIL"
	Immutable   = "IMMUTABLE"
	unknownMask = "UNKNOWN_FIELD"
)

// Err returns INVALID_ARGUMENT with all violations, or nil if there are none.
func (v *Violations) Err() error {
	if len(v.list) == 0 {
		return nil
	}
	return rpc.InvalidArgument(v.list...)
}

// Longer reports whether a is longer than b.
func Longer(a, b *durationpb.Duration) bool { return a.AsDuration() > b.AsDuration() }

// FillDuration sets a duration that is not set.
func FillDuration(d **durationpb.Duration, unset time.Duration) {
	if *d == nil {
		*d = durationpb.New(unset)
	}
}
