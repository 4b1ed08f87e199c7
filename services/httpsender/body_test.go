package httpsender_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const ownBody = `{"text":{{json (upper .Event.Type)}},"who":{{json .Vars.display_name}},"region":{{json .Custom.region}},"salary":{{json .Custom.salary}}}`

func templated(r *recipient.Recipient) {
	r.HTTP.BodyTemplate, r.HTTP.BodyContentType, r.HTTP.Format = ownBody, "application/json", recipient.JSONBinary
}

func TestRequestsWithOtherBodies(t *testing.T) {
	for name, c := range map[string]func(*recipient.Recipient){
		"binary_plain.txt": func(r *recipient.Recipient) { r.HTTP.Format = recipient.JSONBinary },
		"binary_everything.txt": func(r *recipient.Recipient) {
			everything(r)
			r.HTTP.Format, r.HTTP.Headers["ce-id"] = recipient.JSONBinary, "forged"
		},
		"template_plain.txt": templated,
		"template_everything.txt": func(r *recipient.Recipient) {
			everything(r)
			templated(r)
			r.HTTP.BodyContentType = "text/plain; charset=utf-8"
		},
	} {
		t.Run(name, func(t *testing.T) {
			golden.Check(t, name, deliver(t.Context(), t, newSender(t, "region"), deliveryTo("", c)).text())
		})
	}
}

// The official SDK takes what is sent in binary mode, and finds in it what the appliance sent.
func TestTheOfficialSDKReceivesBinaryMode(t *testing.T) {
	got := make(chan *cloudevents.Event, 1)
	r := newReceiver(t, nil, func(_ http.ResponseWriter, q *http.Request) {
		e, err := cloudevents.NewEventFromHTTPRequest(q)
		if err != nil {
			t.Error(err)
		}
		got <- e
	})
	d := deliveryTo(r.URL, func(r *recipient.Recipient) { r.HTTP.Format, r.HTTP.SendCustomFields = recipient.JSONBinary, true })
	s := newSender(t, "region")
	if o := s.Send(t.Context(), d); s.Judge(d, o).Kind != delivery.Delivered {
		t.Fatalf("got %+v", o)
	}
	e := <-got
	if err := e.Validate(); err != nil {
		t.Fatal(err)
	}
	var data struct {
		Key    string            `json:"external_key"`
		Custom map[string]string `json:"custom_fields"`
		Name   string            `json:"display_name"`
	}
	if err := e.DataAs(&data); err != nil {
		t.Fatal(err)
	}
	if e.SpecVersion() != "1.0" || e.ID() != "e-1" || e.Source() != "appliance-1" || e.Type() != d.Event.Type ||
		e.Subject() != d.Event.Session ||
		!e.Time().Equal(d.Event.Time) || data.Key != "INC-1" || data.Name != "Ada Lovelace" || fmt.Sprint(data.Custom) != "map[region:emea]" {
		t.Errorf("got %s", e)
	}
}

func TestATemplateThatFailsEndsTheDelivery(t *testing.T) {
	r := newReceiver(t, nil, func(http.ResponseWriter, *http.Request) {})
	for template, says := range map[string]string{
		`{{date "2006" .Event.ID}}`: `the body template fails: body:1:2: `,
		`{{range 1000000}} {{end}}`: "execution limit",
	} {
		o, v := attempt(t, newSender(t), deliveryTo(r.URL, func(r *recipient.Recipient) { r.HTTP.BodyTemplate = template }))
		if o.Fault != delivery.FaultRender || v.Kind != delivery.Drop || v.Reason != reasons.Render || !strings.Contains(v.Detail, says) {
			t.Errorf("%s: got %+v", template, v)
		}
	}
	if r.connections.Load() != 0 {
		t.Error("something was sent")
	}
}

// The whole way: what a filter lets through is posted with a body of one's own, the same at each attempt; what it does not let
// through is recorded and never sent, and what a template fails on is recorded as rejected.
func TestFilterAndTemplateOnTheWholeWay(t *testing.T) {
	conn := bustest.Start(t).Conn()
	type request struct{ id, kind, body string }
	requests := make(chan request, 100)
	r := newReceiver(t, nil, func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		requests <- request{q.Header.Get("webhook-id"), q.Header.Get("Content-Type"), string(body)}
		if len(requests) == 1 {
			http.Error(w, "once more", http.StatusInternalServerError)
		}
	})
	stored := httpRecipient("crm", []string{"support_conference_member_added"}, &outboundv1.HttpRecipient{
		Url: r.URL, RetryInterval: durationpb.New(100 * time.Millisecond), RetryDuration: durationpb.New(time.Minute),
		BodyTemplate: `{"n":{{.Vars.n}}{{if eq .Vars.n "3"}}{{date "" .Vars.n}}{{end}}}`,
	})
	stored.Recipient.Filter = `int(vars.n) % 2 == 1`
	seen := startReplica(t, conn, nil, stored).seen
	publisher := bus.NewPublisher(conn)
	defer publisher.Close()
	for i, data := range []string{`"n":0`, `"n":1`, `"n":2`, `"n":3`, ``} {
		e, faults := event.Decode(fmt.Appendf(nil,
			`{"specversion":"1.0","id":"e-%d","source":"a-1","type":"support_conference_member_added","time":"2026-11-21T10:00:00Z","data":{%s}}`, i, data))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if _, err := publisher.Accept(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{
		"e-0": "SKIPPED filter_false", "e-1": "DELIVERED ok", "e-2": "SKIPPED filter_false", "e-3": "REJECTED render",
		"e-4": "SKIPPED filter_error",
	}
	for open := len(want); open > 0; {
		report := <-seen.reports
		id := report.Delivery.Event.ID
		if report.State == delivery.StateRetrying {
			continue
		}
		open--
		if got := string(report.State) + " " + string(report.Verdict.Reason); got != want[id] {
			t.Errorf("%s ended %s (%s), want %s", id, got, report.Verdict.Detail, want[id])
		}
	}
	first, second := <-requests, <-requests
	if first != second || first != (request{"a-1~e-1", "application/json", `{"n":1}`}) || len(requests) != 0 {
		t.Errorf("posted %+v, then %+v, and %d more", first, second, len(requests))
	}
}

func TestContentTypeAndAcceptAreTheRecipientsOwn(t *testing.T) {
	for name, c := range map[string]struct {
		change               func(*recipient.Recipient)
		contentType, accepts string
	}{
		"by default": {func(*recipient.Recipient) {}, "application/x-www-form-urlencoded; charset=utf-8", "*/*"},
		"without charset": {func(r *recipient.Recipient) { r.HTTP.ContentType = "application/x-www-form-urlencoded" },
			"application/x-www-form-urlencoded", "*/*"},
		"JSON": {func(r *recipient.Recipient) {
			r.HTTP.Format, r.HTTP.ContentType = recipient.JSON, "application/json"
		}, "application/json", "*/*"},
		"another Accept": {func(r *recipient.Recipient) { r.HTTP.Headers = map[string]string{"accept": "application/json"} },
			"application/x-www-form-urlencoded; charset=utf-8", "application/json"},
	} {
		seen := make(chan http.Header, 1)
		r := newReceiver(t, nil, func(_ http.ResponseWriter, q *http.Request) { seen <- q.Header })
		if o := newSender(t).Send(t.Context(), deliveryTo(r.URL, c.change)); o.Status != 200 {
			t.Fatalf("%s: %s", name, o.Detail)
		}
		h := <-seen
		if got := h.Values("Content-Type"); len(got) != 1 || got[0] != c.contentType {
			t.Errorf("%s: Content-Type is %q", name, got)
		}
		if got := h.Values("Accept"); len(got) != 1 || got[0] != c.accepts {
			t.Errorf("%s: Accept is %q", name, got)
		}
	}
}
