package httpsender_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// A token server that sends JSON as text, another spelling of the type and a life in fractions, and wants to know for whom the token is.
func TestDeliveriesGoOutWithTheTokensOfUnusualServers(t *testing.T) {
	server := newReceiver(t, nil, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if q.PostFormValue("audience") != "https://api.example.com/" || strings.Join(q.PostForm["resource"], " ") != "a b" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_target","error_description":"For whom?"}`)
			return
		}
		fmt.Fprint(w, "\ufeff"+`{"access_token":"token-1","token_type":"BearerToken","expires_in":"3599.98"}`)
	})
	r, s := resource(t, nil, every), newSender(t)
	with := func(p url.Values) func(*recipient.Recipient) {
		return func(r *recipient.Recipient) { r.ID, r.HTTP.Auth.OAuth2.Parameters = r.ID+p.Encode(), p }
	}
	d := deliveryTo(r.URL, oauth(server.URL), with(url.Values{"audience": {"https://api.example.com/"}, "resource": {"a", "b"}}))
	for range 3 {
		if _, v := attempt(t, s, d); v.Kind != delivery.Delivered {
			t.Fatalf("got %+v", v)
		}
	}
	if server.requests.Load() != 1 || r.requests.Load() != 3 {
		t.Errorf("%d token requests for %d deliveries, want 1 for 3", server.requests.Load(), r.requests.Load())
	}
	_, v := attempt(t, s, deliveryTo(r.URL, oauth(server.URL), with(nil)))
	if v.Reason != reasons.Auth ||
		!strings.Contains(v.Detail, "(invalid_target): check the parameters resource and audience; it says: For whom?") {
		t.Errorf("got %+v", v)
	}
	if r.requests.Load() != 3 {
		t.Errorf("%d requests went to the receiver, one without a token", r.requests.Load())
	}
}
