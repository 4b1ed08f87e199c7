package event

import "strings"

// Violation is one reason why an event is unacceptable.
type Violation struct {
	// Field is where the fault is, in the wire's spelling: `id`, `data.custom_fields`; empty for the whole.
	Field string `json:"field"`
	// Reason is the fault as a word, e.g. UNKNOWN_TYPE. See the constants.
	Reason string `json:"reason"`
	// Description says what is wrong and what to do, as a sentence without a full stop.
	Description string `json:"description"`
}

// The reasons of violations. They are part of the surface: documents and clients know them.
const (
	ReasonMalformed       = "MALFORMED_JSON"
	ReasonMissing         = "MISSING"
	ReasonUnsafe          = "UNSAFE_CHARACTERS"
	ReasonTooLong         = "TOO_LONG"
	ReasonTooLarge        = "TOO_LARGE"
	ReasonInvalidUTF8     = "INVALID_UTF8"
	ReasonUnsupported     = "UNSUPPORTED"
	ReasonWrongType       = "WRONG_JSON_TYPE"
	ReasonUnknownType     = "UNKNOWN_TYPE"
	ReasonUnknownSource   = "UNKNOWN_APPLIANCE"
	ReasonSubjectMismatch = "SUBJECT_MISMATCH"
	ReasonTime            = "TIME_OUT_OF_RANGE"
	// ReasonReserved was given by earlier versions, and is in their records.
	ReasonReserved  = "RESERVED_NAME"
	ReasonTooDeep   = "TOO_DEEP"
	ReasonTooMany   = "TOO_MANY"
	ReasonDuplicate = "DUPLICATE_NAME"
	ReasonNotYours  = "NOT_YOUR_APPLIANCE"
)

// Violations is every reason why an event is unacceptable. As an error it reads as one sentence.
type Violations []Violation

// Error lists the violations.
func (v Violations) Error() string {
	var b strings.Builder
	for i, x := range v {
		if i > 0 {
			b.WriteString("; ")
		}
		if x.Field != "" {
			b.WriteString(x.Field + ": ")
		}
		b.WriteString(x.Description)
	}
	return b.String()
}
