package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/telemetry"
)

// heartbeat is the interval of keep-alives, which also check the session.
const heartbeat = 15 * time.Second

// Stream sends server-sent events to the browser.
type Stream struct {
	r  *Request
	rc *http.ResponseController

	mu   sync.Mutex
	dead error
}

// Stream responds with a stream of events. run sends them until the context of the request ends: when the client disconnects, the
// session ends or the service stops. Its error ends the stream and is only logged, because the response has started.
func (r *Request) Stream(run func(s *Stream) error) error {
	s := &Stream{r: r, rc: http.NewResponseController(r.W)}
	// Streams have no deadlines. The read deadline would also end them after the request is read.
	if err := errors.Join(s.rc.SetReadDeadline(time.Time{}), s.rc.SetWriteDeadline(time.Time{})); err != nil {
		return fmt.Errorf("start a stream: %w", err)
	}
	h := r.W.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	r.W.WriteHeader(http.StatusOK)
	ctx, end := contextUntil(r.Context(), r.site.Stop)
	defer end()
	r.Request = r.WithContext(ctx)
	if err := s.write(": open\n\n"); err != nil {
		return nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.beat(end) })
	err := run(s)
	end()
	wg.Wait()
	if err != nil && ctx.Err() == nil {
		r.site.Logger.Warn("stream ended with an error", telemetry.KeyPath, r.URL.Path, telemetry.KeyError, err.Error())
	}
	return nil
}

// beat sends keep-alives and ends the stream when the session ends.
func (s *Stream) beat(end func()) {
	defer end()
	t := time.NewTicker(heartbeat)
	defer t.Stop()
	for {
		select {
		case <-s.r.Context().Done():
			return
		case <-t.C:
		}
		if _, err := s.r.site.find(s.r.Context(), s.r.session); err != nil {
			return
		}
		if s.write(": alive\n\n") != nil {
			return
		}
	}
}

// Send renders a block of a page and sends it as an event for sse-swap. It returns an error when the client has disconnected.
func (s *Stream) Send(event, page, block string, data any) error {
	v := s.r.view(data)
	body, err := s.r.execute(page, block, v)
	if err != nil {
		return err
	}
	return s.SendText(event, string(bytes.TrimSpace(body)))
}

// SendText sends a text as an event.
func (s *Stream) SendText(event, text string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "event: %s\n", event)
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n") {
		b.WriteString("data: " + line + "\n")
	}
	b.WriteString("\n")
	return s.write(b.String())
}

// write sends and flushes a text. It fails if the client does not read for a heartbeat.
func (s *Stream) write(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead != nil {
		return s.dead
	}
	_ = s.rc.SetWriteDeadline(time.Now().Add(heartbeat))
	if _, s.dead = s.r.W.Write([]byte(text)); s.dead == nil {
		s.dead = s.rc.Flush()
	}
	return s.dead
}

// contextUntil returns a context that ends with its parent or with stop.
func contextUntil(parent context.Context, stop <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	if stop == nil {
		return ctx, cancel
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); <-done }
}
