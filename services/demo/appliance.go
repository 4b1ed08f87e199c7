package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus"
)

// appliance publishes as a real one does: requests from a stock NATS client, nothing of ours in between.
type appliance struct {
	id string
	nc *nats.Conn
}

// cloudEvent is an event on the wire.
type cloudEvent struct {
	SpecVersion     string         `json:"specversion"`
	ID              string         `json:"id"`
	Source          string         `json:"source"`
	Type            string         `json:"type"`
	Time            time.Time      `json:"time"`
	Subject         string         `json:"subject"`
	DataContentType string         `json:"datacontenttype"`
	Data            map[string]any `json:"data"`
}

// reply is what intake answers.
type reply struct {
	EventID   string      `json:"eventId"`
	Sequence  json.Number `json:"sequence"`
	Duplicate bool        `json:"duplicate"`
	// Message of a refusal.
	Message string `json:"message"`
}

// connectAppliance signs in. A new account takes a moment to reach the broker.
func connectAppliance(ctx context.Context, address, id, user, password string) (*appliance, error) {
	var nc *nats.Conn
	err := poll(ctx, quietTime, func() (err error) {
		nc, err = nats.Connect("nats://"+address, nats.UserInfo(user, password), nats.Name("demo appliance"))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connect the appliance %s to %s: %w", id, address, err)
	}
	return &appliance{id: id, nc: nc}, nil
}

// Close ends the connection.
func (a *appliance) Close() { a.nc.Close() }

// Publish hands in an event and returns what intake answered. A broker that has no ingest yet is asked again.
func (a *appliance) Publish(ctx context.Context, id, session string, s step) (reply, error) {
	body, err := json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: id, Source: a.id, Type: s.Type, Time: time.Now().UTC(),
		Subject: session, DataContentType: "application/json", Data: s.Data,
	})
	if err != nil {
		return reply{}, fmt.Errorf("encode event %s: %w", id, err)
	}
	ctx, cancel := context.WithTimeout(ctx, quietTime)
	defer cancel()
	msg, err := a.request(ctx, bus.IngestSubjectOf(a.id, s.Type), body)
	if err != nil {
		return reply{}, fmt.Errorf("publish event %s: %w", id, err)
	}
	var r reply
	if err := json.Unmarshal(msg.Data, &r); err != nil {
		return reply{}, fmt.Errorf("read the response to event %s: %w", id, err)
	}
	if fault := msg.Header.Get("Nats-Service-Error"); fault != "" {
		return reply{}, fmt.Errorf("publish event %s: refused: %s", id, fault)
	}
	if r.EventID == "" {
		return reply{}, fmt.Errorf("publish event %s: refused: %s", id, msg.Data)
	}
	return r, nil
}

func (a *appliance) request(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	var msg *nats.Msg
	var fatal error
	err := poll(ctx, quietTime, func() (err error) {
		msg, err = a.nc.RequestWithContext(ctx, subject, body)
		if err != nil && !errors.Is(err, nats.ErrNoResponders) {
			fatal = err
			return nil
		}
		return err
	})
	return msg, errors.Join(err, fatal)
}
