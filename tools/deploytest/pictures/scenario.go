package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/outbound-events/outbound/tools/deploytest/system"
)

// scenario is a system and what happens to it: recipients that work, one that fails for a while, one that fails until the end, one that
// holds its events, one that skips them and one that refuses them; and an appliance that falls silent.
type scenario struct {
	*system.System
	t      system.T
	start  time.Time
	length time.Duration
	// due is how many events are to be published, sent how many were.
	due  float64
	sent int
	last time.Time
}

// begun starts a system with its recipients.
func begun(t system.T, root string, length time.Duration) *scenario {
	s := &scenario{System: system.Start(t, root), t: t, length: length}
	for _, a := range []string{"support-1", "support-2", "support-3"} {
		s.Must(http.MethodPost, "/v1/appliances", system.Object{"id": a, "silentAfter": "60s"})
	}
	s.Must(http.MethodPatch, "/v1/settings/smtp", system.Object{"host": "127.0.0.1", "port": json.Number(s.relay()), "encryption": "NONE",
		"fromAddress": "outbound@example.com"})
	s.start, s.last = time.Now(), time.Now()
	ends := []string{"support_conference_end"}
	both := []string{"support_conference_begin", "support_conference_end"}
	s.recipient("ticket-desk", both, system.Object{"http": system.Object{"url": s.receiver(s.works(5, 40)),
		"caCertificatePem": system.Certificate(t)}})
	s.recipient("crm", ends, system.Object{"http": system.Object{"url": s.receiver(s.away), "retryInterval": "5s"}})
	s.recipient("billing", ends, system.Object{"http": system.Object{"url": s.receiver(s.gone), "retryInterval": "10s"}})
	s.recipient("warehouse", ends, system.Object{"enabled": false, "whileDisabled": "HOLD",
		"http": system.Object{"url": s.receiver(s.works(5, 40))}})
	s.recipient("old-desk", ends, system.Object{"enabled": false, "whileDisabled": "SKIP",
		"http": system.Object{"url": s.receiver(s.works(5, 40))}})
	s.recipient("survey-tool", []string{"support_conference_owner_changed"}, system.Object{"http": system.Object{"url": s.receiver(refuses)}})
	s.recipient("service-desk", ends, system.Object{"email": system.Object{"addresses": []string{"desk@example.com"}}})
	return s
}

func (s *scenario) recipient(id string, types []string, o system.Object) {
	o["id"], o["displayName"], o["eventTypes"] = id, id, types
	if o["enabled"] == nil {
		o["enabled"] = true
	}
	s.Must(http.MethodPost, "/v1/recipients", o)
}

// phase is how much of the run is over, from 0 to 1.
func (s *scenario) phase() float64 { return float64(time.Since(s.start)) / float64(s.length) }

func (s *scenario) receiver(answer http.HandlerFunc) string {
	r := httptest.NewServer(answer)
	s.t.Cleanup(r.Close)
	return r.URL
}

// works accepts after some milliseconds.
func (s *scenario) works(least, most int) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) { pause(least, most) }
}

// away is a receiver that is overloaded for a sixth of the run.
func (s *scenario) away(w http.ResponseWriter, _ *http.Request) {
	pause(60, 250)
	if p := s.phase(); p > 0.3 && p < 0.45 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// gone is a receiver that answers no more when three fifths of the run are over.
func (s *scenario) gone(w http.ResponseWriter, _ *http.Request) {
	pause(20, 60)
	if s.phase() < 0.6 {
		return
	}
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = c.Close()
	}
}

// refuses is a receiver that finds fault with some events.
func refuses(w http.ResponseWriter, _ *http.Request) {
	pause(10, 30)
	if rand.IntN(3) == 0 {
		w.WriteHeader(http.StatusUnprocessableEntity)
	}
}

func pause(least, most int) {
	time.Sleep(time.Duration(least+rand.IntN(most-least)) * time.Millisecond)
}

// rate is how many events come in a second: it goes up and down, with a burst.
func rate(phase float64) float64 {
	r := 6 + 3*math.Sin(phase*4*math.Pi) + 2*math.Sin(phase*22)
	if phase > 0.72 && phase < 0.8 {
		r += 8
	}
	return r
}

// publish posts the events that are due.
func (s *scenario) publish() {
	now := time.Now()
	s.due += rate(s.phase()) * min(now.Sub(s.last).Seconds(), 1)
	s.last = now
	for ; s.due >= 1; s.due-- {
		s.post()
	}
}

// post posts one event. One in 25 is not valid. A system whose disk is slow refuses some: the pictures show that too.
func (s *scenario) post() {
	s.sent++
	from := fmt.Sprintf("support-%d", 1+s.sent%2)
	if s.sent%10 == 5 && s.phase() < 0.4 {
		from = "support-3"
	}
	event := system.Object{"specversion": "1.0", "id": fmt.Sprint("e-", s.sent), "source": from, "type": "support_conference_end",
		"data": system.Object{"external_key": fmt.Sprint("INC-", s.sent)}}
	want := http.StatusOK
	switch {
	case s.sent%50 == 0:
		event["type"], want = "support_conference_ended", http.StatusBadRequest
	case s.sent%50 == 25:
		event["time"], want = "yesterday", http.StatusBadRequest
	case s.sent%3 == 0:
		event["type"] = "support_conference_begin"
	case s.sent%8 == 1:
		event["type"] = "support_conference_owner_changed"
	}
	if code, text := s.Call(http.MethodPost, "/v1/events?appliance_id="+from, event); code != want && code != http.StatusServiceUnavailable {
		s.t.Fatalf("an event is answered with %d %s", code, text)
	}
	if s.sent%40 == 7 { // sent twice: a duplicate
		s.Call(http.MethodPost, "/v1/events?appliance_id="+from, event)
	}
}

// relay is an SMTP relay that accepts everything. It returns its port.
func (s *scenario) relay() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	s.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go converse(c)
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
