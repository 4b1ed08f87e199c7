package httpsender_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// contract is one row of the contract with receivers: what one does, and what HISTORY says of it afterwards.
type contract struct {
	name string
	// play starts the receiver.
	play func(t *testing.T) *played
	// change alters the recipient.
	change func(*outboundv1.HttpRecipient)
	// warm has an event delivered before, so that the one that counts meets a connection that was kept.
	warm bool
	want line
	// requests are how many the receiver must have read for the event that counts; -1: any number.
	requests int64
}

// line is the part of a record that a row asserts.
type line struct {
	State  delivery.State
	Reason reasons.Reason
	// Detail is the whole wording; {host} stands for the receiver's address.
	Detail  string
	Status  int
	Attempt int
	// Next says when the next attempt is.
	Next next
}

// next says in a word when the next attempt is, as the record has it.
type next string

const (
	// never: the state is final.
	never next = "never"
	// onInterval: the recipient's retry interval after the attempt, give or take a tenth.
	onInterval next = "after the interval"
	// asAsked: when the receiver asked for.
	asAsked next = "after the 20 minutes asked for"
	// atMost: the longest wait that a receiver may ask for.
	atMost next = "after an hour"
	// atTheEnd: at the end of the retry duration.
	atTheEnd next = "at the end of the retry duration"
)

// The recipients of the contract are tried again after contractInterval, for contractDuration.
const (
	contractInterval = 10 * time.Minute
	contractDuration = 24 * time.Hour
)

// played is a receiver under way.
type played struct {
	url string
	// read counts the requests that it has read.
	read *atomic.Int64
	// pem, if set, is the root that the recipient is given.
	pem string
	// known are texts that differ from run to run, and what stands for them in the wording.
	known map[string]string
	// check, if set, looks at the record and at what else the receiver has seen.
	check func(t *testing.T, r delivery.Record)
}

func (p *played) host() string {
	_, rest, _ := strings.Cut(p.url, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// plain is a wording without what differs from run to run.
func (p *played) plain(detail string) string {
	for text, name := range p.known {
		detail = strings.ReplaceAll(detail, text, name)
	}
	return strings.ReplaceAll(detail, p.host(), "{host}")
}

// served plays a real HTTP server.
func served(handle http.HandlerFunc) func(*testing.T) *played { return servedTLS(nil, "", handle) }

// servedTLS plays a real HTTPS server; the recipient is given the root pem.
func servedTLS(config *tls.Config, pem string, handle http.HandlerFunc) func(*testing.T) *played {
	return func(t *testing.T) *played {
		r := newReceiver(t, config, handle)
		return &played{url: r.URL + "/hook?token=canary", read: &r.requests, pem: pem}
	}
}

// answers plays a server that answers a status, with headers as pairs.
func answers(status int, headers ...string) func(*testing.T) *played {
	return served(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
	})
}

// scripted plays bare TCP: for each request read, script says what follows; it gets the number of the request, counted from 1. The
// connection is kept for a further request if it returns true.
func scripted(script func(n int64, c net.Conn) (keep bool)) func(*testing.T) *played {
	return func(t *testing.T) *played {
		p := &played{read: &atomic.Int64{}}
		p.url = rawReceiver(t, func(_ int, c net.Conn) {
			in := bufio.NewReader(c)
			for keep := true; keep; {
				q, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				if _, err := io.Copy(io.Discard, q.Body); err != nil {
					return
				}
				keep = script(p.read.Add(1), c)
			}
		})
		return p
	}
}

// says plays a receiver that says a text and closes.
func says(text string) func(*testing.T) *played {
	return scripted(func(_ int64, c net.Conn) bool {
		fmt.Fprint(c, text)
		untilHalf(c)
		return false
	})
}

// saysAndHangs plays a receiver that says a text and no more.
func saysAndHangs(text string) func(*testing.T) *played {
	return scripted(func(_ int64, c net.Conn) bool {
		fmt.Fprint(c, text)
		untilClosed(c)
		return false
	})
}

// patience is the timeout of recipients whose receiver lets them wait. Others have a longer one, which a loaded machine does not reach.
const patience = 2 * time.Second

func impatient(h *outboundv1.HttpRecipient) { h.Timeout = durationpb.New(patience) }

// TestContract plays every receiver at once to one service on a real broker, and reads the records of HISTORY.
func TestContract(t *testing.T) {
	rows := contracts(t)
	conn := bustest.Start(t).Conn()
	const before, counts = "support_conference_begin", "support_conference_end"
	sites := make([]*played, len(rows))
	var stored []*outboundv1.StoredRecipient
	warm := 0
	for i, c := range rows {
		sites[i] = c.play(t)
		target := &outboundv1.HttpRecipient{
			Url: sites[i].url, CaCertificatePem: sites[i].pem, Timeout: durationpb.New(30 * time.Second),
			RetryInterval: durationpb.New(contractInterval), RetryDuration: durationpb.New(contractDuration),
		}
		if c.change != nil {
			c.change(target)
		}
		types := []string{counts}
		if c.warm {
			types = []string{before, counts}
			warm++
		}
		stored = append(stored, httpRecipient(fmt.Sprint("row-", i), types, target))
	}
	r := startReplica(t, conn, nil, stored...)
	publisher := bus.NewPublisher(conn)
	defer publisher.Close()
	publishTypes(t, publisher, before)
	ended(r, warm)
	publishTypes(t, publisher, counts)
	ended(r, len(rows))
	r.stop() // which waits until all is recorded
	history := deliverylog.New(conn)
	defer history.Close()
	for i, c := range rows {
		t.Run(c.name, func(t *testing.T) {
			records, err := history.Attempts(t.Context(), deliverylog.AttemptFilter{Recipient: fmt.Sprint("row-", i), Type: counts}, 0, 10)
			if err != nil || len(records) != 1 {
				t.Fatalf("%d records, %v", len(records), err)
			}
			c.compare(t, sites[i], records[0].Record)
		})
	}
}

func publishTypes(t *testing.T, publisher *bus.Publisher, eventType string) {
	t.Helper()
	raw := strings.Replace(string(joined().Raw), joined().Type, eventType, 1)
	e, faults := event.Decode([]byte(strings.Replace(raw, "e-1", "e-"+eventType, 1)))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if _, err := publisher.Accept(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

// ended waits for the ends of n attempts.
func ended(r replica, n int) {
	for n > 0 {
		if report := <-r.seen.reports; report.State != "" {
			n--
		}
	}
}

// compare holds a row against its record, field by field.
func (c contract) compare(t *testing.T, p *played, r delivery.Record) {
	t.Helper()
	got := line{State: r.State, Reason: r.Reason, Detail: p.plain(r.Detail), Status: r.Status, Attempt: r.Attempt, Next: nextOf(r)}
	want := c.want
	want.Attempt = 1
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the record (-want +got):\n%s", diff)
	}
	if strings.Contains(r.Detail, "canary") {
		t.Errorf("a secret of the URL is in %q", r.Detail)
	}
	if r.Channel != "http" || r.Appliance != "appliance-1" || r.FirstAttempt == nil || r.LastAttempt == nil ||
		!r.FirstAttempt.Equal(*r.LastAttempt) {
		t.Errorf("the record reads %+v", r)
	}
	if len(r.Excerpt) > delivery.MaxExcerpt {
		t.Errorf("the excerpt has %d bytes", len(r.Excerpt))
	}
	read := p.read.Load()
	if c.warm {
		read--
	}
	if c.requests >= 0 && read != c.requests {
		t.Errorf("the receiver read %d requests, want %d", read, c.requests)
	}
	if p.check != nil {
		p.check(t, r)
	}
}

// nextOf finds the word for a record's next attempt. Between the end of an attempt and its record a loaded machine may spend some time.
func nextOf(r delivery.Record) next {
	if r.NextAttempt == nil {
		return never
	}
	const spent = 3 * time.Minute
	wait := r.NextAttempt.Sub(r.LastAttempt.Add(time.Duration(r.TookMicros) * time.Microsecond))
	within := func(least, most time.Duration) bool { return wait >= least && wait <= most+spent }
	switch {
	case r.NextAttempt.Sub(r.Expire).Abs() < time.Minute:
		return atTheEnd
	case within(contractInterval*9/10, contractInterval*11/10):
		return onInterval
	case within(20*time.Minute-2*time.Second, 20*time.Minute):
		return asAsked
	case within(time.Hour, time.Hour):
		return atMost
	default:
		return next("after " + wait.String())
	}
}
