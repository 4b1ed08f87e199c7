package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// receivers are the HTTP receivers of a round, one a path. Each request is in the journal before it is answered.
type receivers struct {
	seed     uint64
	journal  *journal
	profiles map[string]profile
	server   *http.Server
	address  string

	seen
}

// seen counts the requests of each event at each recipient.
type seen struct {
	mu    sync.Mutex
	tries map[[2]string]int
	done  map[[2]string]time.Time
	total int
}

// try is which request of an event this is, from 1.
func (s *seen) try(recipient, key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries[[2]string{recipient, key}]++
	s.total++
	return s.tries[[2]string{recipient, key}]
}

func (s *seen) succeed(recipient, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := [2]string{recipient, key}; s.done[k].IsZero() {
		s.done[k] = time.Now()
	}
}

// succeeded is when an event was first accepted by a receiver; the zero time if it was not.
func (s *seen) succeeded(recipient, key string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done[[2]string{recipient, key}]
}

func newSeen() seen { return seen{tries: map[[2]string]int{}, done: map[[2]string]time.Time{}} }

// startReceivers starts the receivers of all HTTP profiles.
func startReceivers(seed uint64, j *journal, all []profile) (*receivers, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for deliveries: %w", err)
	}
	r := &receivers{seed: seed, journal: j, profiles: map[string]profile{}, address: l.Addr().String(), seen: newSeen()}
	for _, p := range all {
		r.profiles[p.name] = p
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go func() { _ = r.server.Serve(l) }() // ends with close
	return r, nil
}

func (r *receivers) url(name string) string { return "http://" + r.address + "/" + name }

func (r *receivers) close() { _ = r.server.Close() }

// ServeHTTP writes the request down, then answers as the seed says.
func (r *receivers) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	p, ok := r.profiles[strings.TrimPrefix(q.URL.Path, "/")]
	if err != nil || !ok {
		return // cut by the sender: nothing was received
	}
	began := time.Now()
	key := q.Header.Get("webhook-id")
	got := received{Time: began, Recipient: p.name, Key: key, Try: r.try(p.name, key), Body: hash(string(body)),
		Number: q.Header.Get("Outbound-Sequence"), Content: hash(noteOf(q.Header.Get("Content-Type"), body))}
	a := p.answer(r.seed, p.name, key, got.Try)
	got.Answer, got.Success = a.kind, a.kind == answerOK
	if err := r.journal.add(got); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	reply(w, q, a)
	if !got.Success {
		return
	}
	r.succeed(p.name, key)
	if q.Context().Err() != nil || time.Since(began) > receiverTimeout/2 {
		got.Time, got.Gone = time.Now(), true
		_ = r.journal.add(got)
	}
}

// reply does what an answer says.
func reply(w http.ResponseWriter, q *http.Request, a answer) {
	if a.delay > 0 {
		pause(q.Context(), a.delay)
	}
	switch a.kind {
	case answerHang:
		within, cancel := context.WithTimeout(q.Context(), 4*receiverTimeout)
		defer cancel()
		<-within.Done()
		hangUp(w) // a handler that returns would have answered 200
	case answerReset:
		hangUp(w)
	case answerError:
		http.Error(w, "as planned", http.StatusInternalServerError)
	default:
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
	}
}

// hangUp resets the connection without an answer.
func hangUp(w http.ResponseWriter) {
	h, ok := w.(http.Hijacker)
	if !ok {
		return
	}
	c, _, err := h.Hijack()
	if err != nil {
		return
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// noteOf finds the variable note in a body of any format.
func noteOf(contentType string, body []byte) string {
	if strings.HasPrefix(contentType, "application/x-www-form-urlencoded") {
		v, err := url.ParseQuery(string(body))
		if err != nil {
			return err.Error()
		}
		return v.Get("note")
	}
	var o struct {
		Note string `json:"note"`
		Data struct {
			Note string `json:"note"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &o); err != nil {
		return err.Error()
	}
	return o.Data.Note + o.Note
}
