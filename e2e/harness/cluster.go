package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/outbound-events/outbound/pkg/waittest"
)

// StreamState is what one nats-server says about its copy of a stream.
type StreamState struct {
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
	First    uint64 `json:"first_seq"`
	Last     uint64 `json:"last_seq"`
}

// jsz is the part of a nats-server's /jsz that tests read.
type jsz struct {
	Accounts []struct {
		Streams []streamDetail `json:"stream_detail"`
	} `json:"account_details"`
}

type streamDetail struct {
	Name    string `json:"name"`
	Cluster struct {
		Leader string `json:"leader"`
	} `json:"cluster"`
	State StreamState `json:"state"`
}

// AskBroker reads what the monitoring port of a stock nats-server answers.
func (h *System) AskBroker(broker, path string, into any) error {
	q, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+h.Monitor(broker)+path, nil)
	if err != nil {
		return fmt.Errorf("ask %s for %s: %w", broker, path, err)
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return fmt.Errorf("ask %s: %w", broker, err)
	}
	defer func() { _ = r.Body.Close() }()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s for %s: it answers %d", broker, path, r.StatusCode)
	}
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return fmt.Errorf("read what %s answers: %w", broker, err)
	}
	return nil
}

// stream is what a broker says about a stream.
func (h *System) stream(broker, name string) (streamDetail, error) {
	var state jsz
	if err := h.AskBroker(broker, "/jsz?streams=true", &state); err != nil {
		return streamDetail{}, err
	}
	for _, a := range state.Accounts {
		for _, s := range a.Streams {
			if s.Name == name {
				return s, nil
			}
		}
	}
	return streamDetail{}, fmt.Errorf("%s has no stream %s", broker, name)
}

// Leader is the broker that leads a stream, by the first broker that names one.
func (h *System) Leader(stream string) (string, error) {
	var last error
	for _, b := range h.Brokers() {
		s, err := h.stream(b, stream)
		if err == nil && s.Cluster.Leader != "" {
			return s.Cluster.Leader, nil
		}
		last = err
	}
	return "", errors.Join(fmt.Errorf("no nats-server names a leader of %s", stream), last)
}

// AwaitLeader waits until a stream has a leader, and returns it.
func (h *System) AwaitLeader(t T, stream string) (leader string) {
	t.Helper()
	waittest.NoError(t, stream+" to have a leader", func() (err error) {
		leader, err = h.Leader(stream)
		return err
	})
	return leader
}

// AwaitBroker waits until a broker says that its streams and consumers are current.
func (h *System) AwaitBroker(t T, broker string) {
	t.Helper()
	waittest.NoError(t, broker+" to be healthy", func() error {
		var state struct {
			Status string `json:"status"`
		}
		return h.AskBroker(broker, "/healthz", &state)
	})
}

// AwaitCopies waits until each broker has the same of a stream, and returns that.
func (h *System) AwaitCopies(t T, stream string) (state StreamState) {
	t.Helper()
	waittest.NoError(t, "the copies of "+stream+" to be the same", func() error {
		for i, b := range h.Brokers() {
			s, err := h.stream(b, stream)
			if err != nil {
				return err
			}
			if i > 0 && s.State != state {
				return fmt.Errorf("%s has %+v and %s has %+v", h.Brokers()[0], state, b, s.State)
			}
			state = s.State
		}
		return nil
	})
	return state
}
