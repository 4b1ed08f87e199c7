package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (h *fixture) save(r *outboundv1.Recipient) (*outboundv1.Recipient, error) {
	return h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: r})
}

func TestFiltersAreCheckedAtSave(t *testing.T) {
	h := start(t)
	for i, kind := range []*outboundv1.Recipient{httpRecipient("H"), emailRecipient("M")} {
		kind.Filter = `vars.priority == "high" && event.sesion != ""`
		_, err := h.save(kind)
		wantFields(t, err, "filter")
		if got := rpc.ViolationsOf(err)[0].Description; !strings.Contains(got, "line 1, column 33: undefined field 'sesion'") {
			t.Errorf("described as %q", got)
		}
		kind.Filter = `event.session`
		_, err = h.save(kind)
		wantFields(t, err, "filter")
		kind.Filter = fmt.Sprintf(`event.session != "%d"`, i)
		if got := h.create(kind); got.GetFilter() != kind.GetFilter() {
			t.Errorf("saved %q", got.GetFilter())
		}
	}
}

func TestAFilterIsTriedOnTheLastEvents(t *testing.T) {
	h := start(t)
	try := func(expression string, events int32, types ...string) *outboundv1.TestFilterResponse {
		t.Helper()
		out, err := h.admin.TestFilter(h.ctx(), &outboundv1.TestFilterRequest{Filter: expression, Events: events, EventTypes: types})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	h.create(httpRecipient("R")) // the streams are there then
	if got := try("true", 0); len(got.GetResults()) != 0 {
		t.Errorf("without events: %v", got)
	}
	publisher := bus.NewPublisher(h.bus)
	defer publisher.Close()
	for i := range 150 {
		e, faults := event.Decode(fmt.Appendf(nil,
			`{"specversion":"1.0","id":"e-%d","source":"a-1","type":"%s","time":"2026-11-21T10:00:00Z","data":{%s}}`,
			i, []string{"even", "odd"}[i%2], []string{`"n":` + fmt.Sprint(i), ""}[i/149]))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if _, err := publisher.Accept(h.ctx(), e); err != nil {
			t.Fatal(err)
		}
	}
	got := try(`int(vars.n) >= 140`, 0)
	if len(got.GetResults()) != 100 || got.GetMatching() != 9 {
		t.Errorf("%d matched of %d", got.GetMatching(), len(got.GetResults()))
	}
	if r := got.GetResults()[0]; r.GetEventId() != "a-1~e-149" || r.GetMatches() || !strings.Contains(r.GetError(), "no such key: n") {
		t.Errorf("the newest is %v", r)
	}
	if r := got.GetResults()[1]; r.GetEventId() != "a-1~e-148" || r.GetEventType() != "even" || !r.GetMatches() || r.GetError() != "" {
		t.Errorf("the next is %v", r)
	}
	if got := try(`true`, 1000, "even"); len(got.GetResults()) != 75 || got.GetMatching() != 75 {
		t.Errorf("%d matched of %d", got.GetMatching(), len(got.GetResults()))
	}
	_, err := h.admin.TestFilter(h.ctx(), &outboundv1.TestFilterRequest{Filter: `event.typ == ""`})
	wantFields(t, err, "filter")
	_, err = h.admin.TestFilter(h.ctx(), &outboundv1.TestFilterRequest{Filter: `true`, EventTypes: []string{"a.>"}})
	wantFields(t, err, "eventTypes[0]")
}
