package deliverylog

import (
	"slices"
	"strings"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasonclass"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
)

// AttemptFilter narrows a search for attempts; an empty field matches anything.
type AttemptFilter struct {
	Recipient string
	// State that matches, and States if there are several; empty: all.
	State                                 delivery.State
	States                                []delivery.State
	Type, Session, ExternalKey, Appliance string
	// EventID within its appliance; replays of it are left out. One replay is found by `<event id>~<replay id>`.
	EventID string
	// AnyOf is an event id whose replays match as well; ReplayID is the replay that matches alone. The subjects are not ordered by
	// them, so records are looked through for them.
	AnyOf, ReplayID string
	// Channel, Reason and Class are not in the subjects: records are looked through for them.
	Channel string
	Reason  reasons.Reason
	Class   reasonclass.Class

	// noKey matches records without an external key alone.
	noKey bool
}

// recordHead is what of a record can be searched by though its subject does not tell it.
type recordHead struct {
	Channel string         `json:"channel"`
	Reason  reasons.Reason `json:"reason"`
	Status  int            `json:"status"`
}

// inside reports whether records have to be looked through for the filter.
func (f AttemptFilter) inside() bool { return f.Channel != "" || f.Reason != "" || f.Class != "" }

// holds reports whether a record matches by what it holds.
func (f AttemptFilter) holds(h recordHead) bool {
	return (f.Channel == "" || h.Channel == f.Channel) && (f.Reason == "" || h.Reason == f.Reason) &&
		(f.Class == "" || reasonclass.Of(h.Reason, h.Status) == f.Class)
}

// Where a token stands in the subject of an attempt.
const (
	tokenRecipient = 3 + iota
	tokenState
	tokenType
	tokenSession
	tokenKey
	tokenAppliance
	tokenEvent
	attemptTokens
)

// filter is the one that finds the records of a record's delivery.
func (r StoredRecord) filter() AttemptFilter {
	return AttemptFilter{
		Recipient: r.Recipient, Type: r.Type, Session: names.Token(r.Session), ExternalKey: r.ExternalKey, Appliance: r.Appliance,
		EventID: deliveryToken(r.EventID, r.ReplayID), noKey: r.ExternalKey == "",
	}
}

// Subject is the filter with its one State; empty: any.
func (f AttemptFilter) Subject() string {
	return strings.Join([]string{names.SubjectAttempt, names.OrWildcard(f.Recipient), names.OrWildcard(string(f.State)),
		names.OrWildcard(f.Type), names.OrWildcard(f.Session), f.keyToken(),
		names.OrWildcard(f.Appliance), names.OrWildcard(f.EventID)}, ".")
}

// subjects are those that match what the filter matches, each for a state of its own.
func (f AttemptFilter) subjects() []string {
	states := f.AllStates()
	if len(states) == 0 {
		return []string{f.Subject()}
	}
	out := make([]string, 0, len(states))
	for _, f.State = range states {
		out = append(out, f.Subject())
	}
	return out
}

// AllStates are the states that match, from State and States; empty: all.
func (f AttemptFilter) AllStates() []delivery.State {
	if f.State != "" {
		return []delivery.State{f.State}
	}
	return f.States
}

func (f AttemptFilter) keyToken() string {
	switch {
	case f.noKey:
		return names.Token("")
	case f.ExternalKey == "":
		return "*"
	default:
		return names.HashToken(f.ExternalKey)
	}
}

// narrow reports whether subjects tell anything of what matches.
func (f AttemptFilter) narrow() bool {
	return f.leads() || f.Type != "" || f.Session != "" || f.ExternalKey != "" || f.Appliance != "" || f.EventID != ""
}

// leads reports whether the filter names one of the first tokens, where the broker's index of subjects is narrow: it finds the
// next match quickly then, wherever it begins. Else all records are read, which costs less than a match of all subjects.
func (f AttemptFilter) leads() bool { return f.Recipient != "" || len(f.AllStates()) > 0 }

// files reports whether a subject matches the filter's own (filed), and whether the event and the replay match too.
func (f AttemptFilter) files(subject string) (filed, ours bool) {
	t := strings.Split(subject, ".")
	if len(t) != attemptTokens || !strings.HasPrefix(subject, names.SubjectAttempt+".") {
		return false, false
	}
	for at, want := range map[int]string{
		tokenRecipient: names.OrWildcard(f.Recipient), tokenType: names.OrWildcard(f.Type), tokenSession: names.OrWildcard(f.Session),
		tokenKey:       f.keyToken(),
		tokenAppliance: names.OrWildcard(f.Appliance), tokenEvent: names.OrWildcard(f.EventID),
	} {
		if want != "*" && want != t[at] {
			return false, false
		}
	}
	if of := f.AllStates(); len(of) > 0 && !slices.Contains(of, delivery.State(t[tokenState])) {
		return false, false
	}
	id, replay, _ := strings.Cut(t[tokenEvent], "~")
	return true, (f.AnyOf == "" || f.AnyOf == id) && (f.ReplayID == "" || f.ReplayID == replay)
}

// NoSession is the Session of a filter for records without one.
const NoSession = "-"
