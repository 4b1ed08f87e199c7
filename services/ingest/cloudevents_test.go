package ingest_test

import (
	"net/http"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/event"
)

// The official SDK's client is a publisher as good as any, in both modes.
func TestTheOfficialSDKsEventsAreTaken(t *testing.T) {
	h := open(t, defaults(), "a-1")
	at := time.Now().UTC().Truncate(time.Microsecond)
	for i, mode := range []string{"binary", "structured"} {
		t.Run(mode, func(t *testing.T) {
			e := cloudevents.NewEvent()
			e.SetID("e-" + mode)
			e.SetSource("a-1")
			e.SetType(kind)
			e.SetTime(at)
			e.SetSubject("s1")
			e.SetExtension("comexampleextension", "kept é")
			must(t, e.SetData(cloudevents.ApplicationJSON, map[string]any{"external_key": "INC-1", "customer": map[string]any{"name": "Zoë"}}))
			transport := &http.Transport{DisableKeepAlives: true}
			p, err := cehttp.New(cehttp.WithTarget(h.url), cehttp.WithHeader("Authorization", "Bearer "+tokenOf("a-1")),
				cehttp.WithRoundTripper(transport))
			must(t, err)
			client, err := cloudevents.NewClient(p)
			must(t, err)
			ctx := binding.WithForceBinary(t.Context())
			if mode == "structured" {
				ctx = binding.WithForceStructured(t.Context())
			}
			if result := client.Send(ctx, e); !cloudevents.IsACK(result) {
				t.Fatal(result)
			}
			stored, err := eventlog.New(h.bus).StoredEvent(t.Context(), uint64(i+1))
			must(t, err)
			if stored.ID != "e-"+mode || stored.Session != "s1" || !stored.Time.Equal(at) || stored.ExternalKey != "INC-1" ||
				len(stored.Variables) != 1 || stored.Variables[0] != (event.Variable{Name: "customer.name", Value: "Zoë"}) {
				t.Errorf("%s", stored.Raw)
			}
			back := cloudevents.NewEvent()
			must(t, back.UnmarshalJSON(stored.Raw))
			if back.Extensions()["comexampleextension"] != "kept é" {
				t.Errorf("%s", stored.Raw)
			}
		})
	}
}

func TestBinaryModeIsHeldAgainstTheSameRules(t *testing.T) {
	h := open(t, defaults(), "a-1")
	headers := func(more ...string) []string {
		return append([]string{"Ce-Specversion", "1.0", "Ce-Id", "e-1", "Ce-Source", "a-1", "Ce-Type", kind}, more...)
	}
	for _, c := range []struct {
		name, contentType, body string
		headers                 []string
		field, reason           string
	}{
		{"no JSON", "application/json", "{", headers(), "", event.ReasonMalformed},
		{"a body that ends the data", "application/json", `1,"subject":"x"`, headers(), "", event.ReasonWrongType},
		{"an attribute twice", "application/json", "{}", headers("Ce-Id", "e-2"), "id", event.ReasonDuplicate},
		{"a quote in an attribute", "application/json", "{}", headers("Ce-Dataschema", `x","data":"y`), "dataschema", event.ReasonUnsafe},
		{"an encoded control character", "application/json", "{}", headers("Ce-Subject", "a%0Ab"), "subject", event.ReasonUnsafe},
		{"data beside the body", "application/json", "{}", headers("Ce-Data", "x"), "data", event.ReasonDuplicate},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := h.post(tokenOf("a-1"), c.contentType, []byte(c.body), c.headers...)
			vs := r.violations()
			if r.Status != 400 || len(vs) == 0 || vs[0].Field != c.field || vs[0].Reason != c.reason {
				t.Errorf("%+v", r)
			}
		})
	}
	if r := h.post(tokenOf("a-1"), "application/json; charset=utf-8", []byte(`{"a":1}`), headers()...); r.Status != 200 {
		t.Errorf("%+v", r)
	}
	if r := h.post(tokenOf("a-1"), "", nil, "Ce-Specversion", "1.0", "Ce-Id", "e-2", "Ce-Source", "a-1", "Ce-Type", kind); r.Status != 200 {
		t.Errorf("%+v", r)
	}
}
