package delivery

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
)

// Record is a line of history: one attempt with its verdict, or a final state without one. It is stored as JSON before the
// delivery's message is settled; its message id is the delivery's key and the attempt number, so a repeat is harmless.
type Record struct {
	Recipient   string `json:"recipient"`
	Channel     string `json:"channel"`
	EventID     string `json:"eventId"`
	Appliance   string `json:"appliance"`
	Type        string `json:"type"`
	Session     string `json:"session,omitempty"`
	ExternalKey string `json:"externalKey,omitempty"`
	ReplayID    string `json:"replayId,omitempty"`
	Test        bool   `json:"test,omitempty"`
	// Actor is who asked for it: for the replay, the test, or this change by hand; empty if nobody did.
	Actor string `json:"actor,omitempty"`
	// Sequence of the event's message in EVENTS.
	Sequence uint64 `json:"sequence"`
	// Number of the delivery among those of its recipient; 0: it has none.
	Number uint64 `json:"number,omitempty"`

	State  State          `json:"state"`
	Reason reasons.Reason `json:"reason"`
	Detail string         `json:"detail,omitempty"`
	// Attempt is the number of attempts made, this one included; 0 if there was none.
	Attempt int `json:"attempt"`
	// Status is the HTTP status or SMTP code; 0 if there was no answer.
	Status int `json:"status,omitempty"`
	// TookMicros is how long the attempt took, in microseconds.
	TookMicros int64 `json:"tookMicros,omitempty"`
	// Excerpt is the beginning of the answer, at most MaxExcerpt bytes (base64 in JSON).
	Excerpt []byte `json:"excerpt,omitempty"`
	// Revision of the recipient that was used.
	Revision uint64 `json:"revision,omitempty"`

	Accepted     time.Time  `json:"acceptTime"`
	FirstAttempt *time.Time `json:"firstAttemptTime,omitempty"`
	LastAttempt  *time.Time `json:"lastAttemptTime,omitempty"`
	NextAttempt  *time.Time `json:"nextAttemptTime,omitempty"`
	Expire       time.Time  `json:"expireTime"`
	// Extended is the end that somebody set by hand. Later records of the delivery repeat it.
	Extended *time.Time `json:"extendedTime,omitempty"`
	// CancelAsked says that the delivery ends, as CANCELLED, when a sender has it next: it may be under way while this is recorded.
	CancelAsked bool `json:"cancelAsked,omitempty"`

	// Progress is what the sender needs to know at the next attempt.
	Progress json.RawMessage `json:"progress,omitempty"`
	// Carried is when this record was stored first, if it is a copy of it at the end of the log, made before the log dropped the first
	// one. A copy keeps the state of a delivery and tells of nothing that happened.
	Carried *time.Time `json:"carriedTime,omitempty"`
}

// ErrAlreadyRecorded says that an attempt has a record already; that one stands.
var ErrAlreadyRecorded = errors.New("this attempt is recorded already")

// ErrConflict says that a delivery's newest record is not the one that was expected.
var ErrConflict = errors.New("the delivery has a newer record")

// JSON is the record as it is stored: what encoding/json makes of it.
func (r *Record) JSON() ([]byte, error) {
	w := event.NewLine(640)
	w.Text("recipient", r.Recipient)
	w.Text("channel", r.Channel)
	w.Text("eventId", r.EventID)
	w.Text("appliance", r.Appliance)
	w.Text("type", r.Type)
	w.TextIf("session", r.Session)
	w.TextIf("externalKey", r.ExternalKey)
	w.TextIf("replayId", r.ReplayID)
	w.FlagIf("test", r.Test)
	w.TextIf("actor", r.Actor)
	w.Uint("sequence", r.Sequence)
	w.UintIf("number", r.Number)
	w.Text("state", string(r.State))
	w.Text("reason", string(r.Reason))
	w.TextIf("detail", r.Detail)
	w.Int("attempt", int64(r.Attempt))
	w.IntIf("status", int64(r.Status))
	w.IntIf("tookMicros", r.TookMicros)
	if len(r.Excerpt) > 0 {
		w.Any("excerpt", r.Excerpt)
	}
	w.UintIf("revision", r.Revision)
	w.Time("acceptTime", r.Accepted)
	w.TimeIf("firstAttemptTime", r.FirstAttempt)
	w.TimeIf("lastAttemptTime", r.LastAttempt)
	w.TimeIf("nextAttemptTime", r.NextAttempt)
	w.Time("expireTime", r.Expire)
	w.TimeIf("extendedTime", r.Extended)
	w.FlagIf("cancelAsked", r.CancelAsked)
	if len(r.Progress) > 0 {
		w.Any("progress", r.Progress)
	}
	w.TimeIf("carriedTime", r.Carried)
	return w.End()
}
