package bus

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// settler settles one message of a consumer. This file is the only place that acknowledges. The calls are not confirmed:
// one that is lost has the message handed out again, and the delivery log decides then what it comes to.
type settler struct {
	m *nats.Msg
}

// Ack ends the message.
func (s *settler) Ack() error { return s.say("+ACK") }

// Later has the message handed out again after a wait. The wait must be positive: 0 would mean at once, for ever.
func (s *settler) Later(wait time.Duration) error {
	return s.say(fmt.Sprintf(`-NAK {"delay": %d}`, max(wait, time.Millisecond).Nanoseconds()))
}

// Term ends a message that can't be read, with a reason for the broker's advisory.
func (s *settler) Term(reason string) error { return s.say("+TERM " + reason) }

func (s *settler) say(verb string) error {
	if err := s.m.Respond([]byte(verb)); err != nil {
		return fmt.Errorf("settle message %s: %w", s.m.Reply, err)
	}
	return nil
}
