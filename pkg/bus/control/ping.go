package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
)

// Presence is what a process says of itself.
type Presence struct {
	// Name is the service's, Instance tells processes of one service apart.
	Name     string    `json:"name"`
	Instance string    `json:"instance"`
	Version  string    `json:"version"`
	Start    time.Time `json:"start"`
	// Host and PID say where it runs.
	Host string `json:"host,omitempty"`
	PID  int    `json:"pid,omitempty"`
	// ClockOffset is how far its clock is ahead of the broker's, in seconds; negative: behind.
	ClockOffset float64 `json:"clockOffsetSeconds,omitempty"`
	// Notices need attention, as sentences.
	Notices []string `json:"notices,omitempty"`
}

// NewPresence names a process that starts now.
func NewPresence(name, version string) Presence {
	host, _ := os.Hostname() // without one, the process id has to do
	return Presence{Name: name, Instance: nuid.Next(), Version: version, Start: time.Now().UTC(), Host: host, PID: os.Getpid()}
}

// Announce answers each ping with who is here, until ctx ends. The notices of the process are those of the first.
func (c Client) Announce(ctx context.Context, notices func() []string, here ...Presence) error {
	// No queue group: everybody answers.
	sub, err := c.conn.NC.Subscribe(names.SubjectPing, func(m *nats.Msg) {
		for i, p := range here {
			p.ClockOffset = c.conn.ClockOffset().Seconds()
			if i == 0 && notices != nil {
				p.Notices = notices()
			}
			// Who asked does not wait for a particular one.
			if raw, err := json.Marshal(p); err == nil {
				_ = m.Respond(raw)
			}
		}
	})
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", names.SubjectPing, err)
	}
	<-ctx.Done()
	if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("unsubscribe from %s: %w", names.SubjectPing, err)
	}
	return nil
}

// Ping asks all processes who they are and collects what they answer for so long.
func (c Client) Ping(ctx context.Context, wait time.Duration) ([]Presence, error) {
	inbox := c.conn.NC.NewInbox()
	sub, err := c.conn.NC.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("request on %s: %w", names.SubjectPing, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.conn.NC.PublishRequest(names.SubjectPing, inbox, nil); err != nil {
		return nil, fmt.Errorf("request on %s: %w", names.SubjectPing, err)
	}
	until, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var out []Presence
	for {
		m, err := sub.NextMsgWithContext(until)
		switch {
		case errors.Is(err, nats.ErrNoResponders), err != nil && until.Err() != nil && ctx.Err() == nil:
			return out, nil
		case err != nil:
			return out, fmt.Errorf("request on %s: %w", names.SubjectPing, err)
		}
		var p Presence
		if json.Unmarshal(m.Data, &p) == nil && p.Name != "" {
			out = append(out, p)
		}
	}
}
