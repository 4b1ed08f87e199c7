package history_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

const end = "support_conference_end"

// keep writes a revision of a recipient, as the config service does.
func (h *fixture) keep(r *outboundv1.Recipient, revision uint64) {
	h.t.Helper()
	b, err := h.bus.Bucket(h.t.Context(), bus.BucketRecipients)
	if err != nil {
		h.t.Fatal(err)
	}
	value, err := proto.Marshal(&outboundv1.StoredRecipient{Recipient: r, Revision: revision, StartSequence: 1})
	if err != nil {
		h.t.Fatal(err)
	}
	last := uint64(0)
	if e, err := b.Get(h.t.Context(), "r."+r.GetId()); err == nil {
		last = e.Revision
	}
	if _, err := b.Write(h.t.Context(), "r."+r.GetId(), value, last, bus.Note{Actor: "test"}); err != nil {
		h.t.Fatal(err)
	}
}

// appended records what a test says.
func (h *fixture) appended(rec delivery.Record) {
	h.t.Helper()
	ch := make(chan error, 1)
	h.log.AppendAttempt(rec, func(err error) { ch <- unlessStored(err) })
	if err := <-ch; err != nil {
		h.t.Fatal(err)
	}
}

func TestADeliveryIsToldWithEveryAttemptAndItsRequest(t *testing.T) {
	r := httpRecipient("r1", end)
	h := newFixture(t, history.EmbeddedAlways, r)
	old := proto.CloneOf(r)
	old.GetHttp().Url = "https://receiver.example/old"
	old.GetHttp().Headers = map[string]string{"X-Tenant": "seven"}
	h.keep(old, 1)
	h.keep(r, 2)
	e := h.accept("a1", "e-1")
	now := time.Now()
	rec := delivery.Record{
		Recipient: "r1", Channel: "http", EventID: e.ID, Appliance: e.Appliance, Type: e.Type, Session: e.Session, ExternalKey: e.ExternalKey,
		Sequence: 1, State: delivery.StateRetrying, Reason: reasons.HTTPStatus, Detail: "answered 503", Status: 503, Attempt: 1, TookMicros: 2500,
		Excerpt: []byte("busy \xff"), Revision: 1, Accepted: now, FirstAttempt: &now, LastAttempt: &now, NextAttempt: &now,
		Expire: now.Add(time.Hour),
	}
	for rec.Attempt = 1; rec.Attempt <= 3; rec.Attempt++ {
		h.appended(rec)
	}
	other := rec
	other.ReplayID, other.Attempt, other.State, other.Reason = "01REPLAY", 1, delivery.StateDelivered, reasons.OK
	h.appended(other)

	got, err := h.deliveries.GetDelivery(t.Context(), &outboundv1.GetDeliveryRequest{RecipientId: "r1", EventId: "a1~e-1"})
	if err != nil {
		t.Fatal(err)
	}
	var attempts []string
	for _, a := range got.GetAttempts() {
		attempts = append(attempts, fmt.Sprint(a.GetNumber(), " ", a.GetState(), " ", a.GetReasonClass(), " ", a.GetStatusCode(), " ",
			a.GetTookMs(), " ", a.GetRecipientRevision(), " ", a.GetResponseExcerpt()))
		if a.GetBeginTime() == nil || a.GetRecordTime() == nil || a.GetNextAttemptTime() == nil || a.GetExpireTime() == nil {
			t.Errorf("an attempt lacks a time: %v", a)
		}
	}
	want := []string{"1 RETRYING http_5xx 503 2.5 1 busy \uFFFD", "2 RETRYING http_5xx 503 2.5 1 busy \uFFFD",
		"3 RETRYING http_5xx 503 2.5 1 busy \uFFFD"}
	if diff := cmp.Diff(want, attempts); diff != "" {
		t.Error(diff)
	}
	d := got.GetDelivery()
	if d.GetState() != outboundv1.DeliveryState_RETRYING || d.GetAttempts() != 3 || d.GetChannel() != "http" ||
		d.GetReasonClass() != "http_5xx" || d.GetRecipientDisplayName() != "The r1" || d.GetRecipientRevision() != 1 {
		t.Errorf("the delivery is not told in full: %v", d)
	}
	q := got.GetHttp()
	if q.GetMethod() != "POST" || q.GetUrl() != "https://receiver.example/old" || !strings.Contains(q.GetBody(), "external_key=INC+1") ||
		header(q.GetHeaders(), "X-Tenant") != "seven" || header(q.GetHeaders(), "Webhook-Id") != "a1~e-1" {
		t.Errorf("the request is not the old revision's: %v", q)
	}
	if !strings.Contains(got.GetCloudEventJson(), `"e-1"`) || got.GetRequestNote() == "" {
		t.Errorf("the event or the note is missing: %v", got)
	}

	replay, err := h.deliveries.GetDelivery(t.Context(),
		&outboundv1.GetDeliveryRequest{RecipientId: "r1", EventId: "a1~e-1", ReplayId: "01REPLAY"})
	if err != nil || len(replay.GetAttempts()) != 1 || replay.GetDelivery().GetState() != outboundv1.DeliveryState_DELIVERED {
		t.Errorf("the replay is not told apart: %v, %v", replay, err)
	}
}

func header(of []*outboundv1.Header, name string) string {
	for _, h := range of {
		if h.GetName() == name {
			return h.GetValue()
		}
	}
	return ""
}

func TestARequestThatCannotBeWrittenAgainIsExplained(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("r1", end), httpRecipient("r2", end))
	e := h.accept("a1", "e-1")
	h.attempted(e, "r1", "", 1, delivery.StateDelivered)
	get := func(recipient, event string) (*outboundv1.DeliveryDetail, error) {
		return h.deliveries.GetDelivery(t.Context(), &outboundv1.GetDeliveryRequest{RecipientId: recipient, EventId: event})
	}
	got, err := get("r1", "a1~e-1")
	if err != nil || got.GetRequest() != nil || !strings.Contains(got.GetRequestNote(), "no longer stored") {
		t.Errorf("a revision that is not kept: %v, %v", got, err)
	}
	waits, err := get("r2", "a1~e-1")
	if err != nil || waits.GetDelivery().GetState() != outboundv1.DeliveryState_WAITING || len(waits.GetAttempts()) != 0 ||
		waits.GetHttp().GetUrl() == "" || waits.GetRequestNote() == "" {
		t.Errorf("a delivery that waits: %v, %v", waits, err)
	}
	for recipient, event := range map[string]string{"r1": "a1~e-2", "nobody": "a1~e-1"} {
		_, err := get(recipient, event)
		wantCode(t, err, codes.NotFound)
	}
	for recipient, event := range map[string]string{"*": "a1~e-1", "r1": "e-1", "r2": "a1~>"} {
		_, err := get(recipient, event)
		wantCode(t, err, codes.InvalidArgument)
	}
}

func TestAnEventTellsWhyEachRecipientGetsItOrDoesNot(t *testing.T) {
	off, chosen, filtered, broken, later, mail := httpRecipient("off", end), httpRecipient("chosen", end), httpRecipient("filtered", end),
		httpRecipient("broken", end), httpRecipient("later", end), &outboundv1.Recipient{
			Id: "mail", DisplayName: "Mail", Enabled: proto.Bool(true), EventTypes: []string{end},
			Channel: &outboundv1.Recipient_Email{Email: &outboundv1.EmailRecipient{Addresses: []string{"ops@example.com"},
				RequireExternalKey: true}},
		}
	off.Enabled = proto.Bool(false)
	chosen.Appliances = []string{"a2"}
	filtered.Filter, broken.Filter = `event.session == "other"`, `vars.nothing == "x"`
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("got", end), httpRecipient("waits", end),
		httpRecipient("other", "support_conference_begin"), off, chosen, filtered, broken, later, mail)
	e := h.accept("a1", "e-1")
	h.attempted(e, "got", "", 1, delivery.StateRetrying)
	h.attempted(e, "got", "", 2, delivery.StateDelivered)
	h.attempted(e, "got", "01REPLAY", 1, delivery.StateDelivered)
	h.attempted(e, "gone", "", 1, delivery.StateDelivered)
	skipped := func(id string, why reasons.Reason) {
		now := time.Now()
		h.appended(delivery.Record{
			Recipient: id, Channel: "http", EventID: e.ID, Appliance: e.Appliance, Type: e.Type, Session: e.Session, ExternalKey: e.ExternalKey,
			Sequence: 1, State: delivery.StateSkipped, Reason: why, Accepted: now, Expire: now,
		})
	}
	skipped("filtered", reasons.FilterFalse)

	got, err := h.events.GetEvent(t.Context(), &outboundv1.GetEventRequest{EventId: "a1~e-1"})
	if err != nil {
		t.Fatal(err)
	}
	routes := map[string]string{}
	for _, r := range got.GetRoutes() {
		routes[r.GetRecipientId()] = fmt.Sprint(r.GetMatched(), " ", r.GetState(), " ", r.GetReason())
		if r.GetDetail() == "" || r.GetChannel() == "" {
			t.Errorf("a route lacks words: %v", r)
		}
	}
	unset := "DELIVERY_STATE_UNSPECIFIED"
	want := map[string]string{
		"got": "true DELIVERED ok", "gone": "true DELIVERED ok", "waits": "true WAITING ", "later": "true WAITING ",
		"off": "true WAITING disabled", "broken": "false WAITING filter_error",
		"mail": "true WAITING ", "other": "false " + unset + " event_type_not_selected", "chosen": "false " + unset + " appliance_not_selected",
		"filtered": "false SKIPPED filter_false",
	}
	if diff := cmp.Diff(want, routes); diff != "" {
		t.Error(diff)
	}
	var timeline []string
	for i, x := range got.GetTimeline() {
		timeline = append(timeline, strings.TrimRight(fmt.Sprint(x.GetKind(), " ", x.GetRecipientId(), " ", x.GetState(), " ",
			x.GetReplayId()), " "))
		if i > 0 && x.GetTime().AsTime().Before(got.GetTimeline()[i-1].GetTime().AsTime()) && i > 1 {
			t.Errorf("entry %d is out of order", i)
		}
	}
	if diff := cmp.Diff([]string{
		"accepted  " + unset, "attempt got RETRYING", "final got DELIVERED", "final got DELIVERED 01REPLAY", "final gone DELIVERED",
		"final filtered SKIPPED",
	}, timeline); diff != "" {
		t.Error(diff)
	}
}
