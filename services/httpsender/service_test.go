package httpsender_test

import (
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/httpsender"
)

// runService runs the service against a real broker for one recipient until the test ends.
func runService(t *testing.T, conn *bus.Conn, target string) ends {
	t.Helper()
	stored := httpRecipient("crm", []string{"support_conference_member_added"}, &outboundv1.HttpRecipient{
		Url: target, SendCustomFields: true, RetryInterval: durationpb.New(100 * time.Millisecond), RetryDuration: durationpb.New(time.Minute),
	})
	return startReplica(t, conn, nil, stored).seen
}

func TestEventArrivesOnTheFourthTryWithItsVariables(t *testing.T) {
	conn := bustest.Start(t).Conn()
	forms := make(chan url.Values, 10)
	ids := make(chan string, 10)
	var requests atomic.Int64
	r := newReceiver(t, nil, func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			t.Error(err)
		}
		forms <- form
		ids <- q.Header.Get("webhook-id")
		if requests.Add(1) < 4 {
			http.Error(w, "not yet", http.StatusInternalServerError)
		}
	})
	seen := runService(t, conn, r.URL)

	publisher := bus.NewPublisher(conn)
	defer publisher.Close()
	e := decoded(t)
	if _, err := publisher.Accept(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for attempt := 1; attempt <= 4; attempt++ {
		report := <-seen.reports
		want := delivery.Verdict{Kind: delivery.Retry, Reason: reasons.HTTPStatus}
		if attempt == 4 {
			want = delivery.Verdict{Kind: delivery.Delivered, Reason: reasons.OK}
		}
		if report.Delivery.Attempt != attempt || report.Verdict.Kind != want.Kind || report.Verdict.Reason != want.Reason {
			t.Errorf("attempt %d: got attempt %d with %+v, want %+v", attempt, report.Delivery.Attempt, report.Verdict, want)
		}
		form, id := <-forms, <-ids
		if form.Get("event") != e.Type || form.Get("display_name") != "Ada Lovelace" || form.Get("custom.region") != "emea" ||
			form.Has("custom.salary") {
			t.Errorf("attempt %d: form is %v", attempt, form)
		}
		if id != "appliance-1~e-1" {
			t.Errorf("attempt %d: webhook-id is %q", attempt, id)
		}
	}
}

func decoded(t *testing.T) *event.Event {
	t.Helper()
	e, violations := event.Decode(joined().Raw)
	if len(violations) > 0 {
		t.Fatal(violations)
	}
	return e
}

func TestServiceWithoutItsDoorsIsNotMade(t *testing.T) {
	if _, err := httpsender.New(httpsender.DefaultOptions(), httpsender.Deps{}); err == nil {
		t.Error("made without doors")
	}
	if _, err := httpsender.New(httpsender.Options{}, httpsender.Deps{}); err == nil {
		t.Error("made without options")
	}
}
