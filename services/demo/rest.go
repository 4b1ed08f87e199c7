package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// rest speaks the REST API, as an operator's script would.
type rest struct {
	base, token string
	client      *http.Client
}

func newREST(base, token string) *rest {
	return &rest{base: base, token: token, client: &http.Client{Timeout: readHeaderTimeout}}
}

// Close ends idle connections.
func (r *rest) Close() { r.client.CloseIdleConnections() }

// Call makes one call. in and out may be nil.
func (r *rest) Call(ctx context.Context, method, path string, in, out proto.Message) error {
	var body io.Reader
	if in != nil {
		text, err := protojson.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode the request %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(text)
	}
	q, err := http.NewRequestWithContext(ctx, method, r.base+path, body)
	if err != nil {
		return fmt.Errorf("create the request %s %s: %w", method, path, err)
	}
	q.Header.Set("Authorization", "Bearer "+r.token)
	if in != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	answer, err := r.client.Do(q)
	if err != nil {
		return fmt.Errorf("call: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the response to %s %s: %w", method, path, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, bytes.TrimSpace(text))
	}
	if out == nil {
		return nil
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, out); err != nil {
		return fmt.Errorf("read the response to %s %s: %w", method, path, err)
	}
	return nil
}

// maxAnswer is the most of an answer that is read: a page of 1,000 deliveries of 1 KiB each, and room.
const maxAnswer = 8 << 20

// Ready waits until the API says that it is ready.
func (r *rest) Ready(ctx context.Context, most time.Duration) error {
	return poll(ctx, most, func() error { return r.Call(ctx, http.MethodGet, "/readyz", nil, nil) })
}

// poll repeats do until it succeeds; after most, its last error is the error.
func poll(ctx context.Context, most time.Duration, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := do()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}
