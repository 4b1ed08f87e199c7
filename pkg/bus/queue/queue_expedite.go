package queue

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// Settled is how far in the future an attempt must be for its message to wait for a delay, in no sender's hands. Clocks may
// differ by as much.
const Settled = 2 * time.Second

// headerSequences names the messages that senders are woken for.
const headerSequences = "Outbound-Sequences"

// maxExpedited is how many messages are named at once.
const maxExpedited = 500

// Expedite asks the senders of a channel to try a recipient at once though it fails all the time: the messages at some sequences of EVENTS,
// or whatever comes if there are none.
func (q *Queue) Expedite(ch recipient.Channel, id string, sequences []uint64) error {
	for first := true; first || len(sequences) > 0; first = false {
		part := sequences[:min(len(sequences), maxExpedited)]
		sequences = sequences[len(part):]
		m := nats.NewMsg(names.SubjectExpedite + "." + string(ch))
		m.Data = []byte(id)
		if len(part) > 0 {
			m.Header.Set(headerSequences, strings.Trim(fmt.Sprint(part), "[]"))
		}
		if err := q.conn.NC.PublishMsg(m); err != nil {
			return fmt.Errorf("notify the senders of %s: %w", id, err)
		}
	}
	return nil
}

// Expedited calls f for each Wake of a channel, until stop is called. See delivery.Queue.
func (q *Queue) Expedited(ch recipient.Channel, f func(id string, sequences []uint64)) (stop func(), err error) {
	sub, err := q.conn.NC.Subscribe(names.SubjectExpedite+"."+string(ch), func(m *nats.Msg) {
		var sequences []uint64
		for _, text := range strings.Fields(m.Header.Get(headerSequences)) {
			if n, err := strconv.ParseUint(text, 10, 64); err == nil {
				sequences = append(sequences, n)
			}
		}
		f(string(m.Data), sequences)
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", names.SubjectExpedite, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}
