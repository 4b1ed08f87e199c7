package web_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/services/console/internal/web"
)

// TestFaultsHaveTheLabelsOfTheirFields checks faults of a field, of an element of a field and of no field.
func TestFaultsHaveTheLabelsOfTheirFields(t *testing.T) {
	h := open(t)
	h.enter("operator")
	body := h.Post("/try", url.Values{}).Body
	for _, want := range []string{
		`<li><a href="#f-http-url">URL</a>: `, `<li><a href="#f-note">Note</a>: Is long.</li>`, `id="f-note-fault">Is long.</p>`,
		`<li>Elsewhere 3 retry URL: Is odd.</li>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, raw := range []string{"http.url<", "recipient.note", "elsewhere[", "retryUrl"} {
		if strings.Contains(body, raw) {
			t.Errorf("the page shows the API's path %q", raw)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
}

func TestAPIPathsAreShownInWords(t *testing.T) {
	for path, want := range map[string]string{
		"http.retryInterval": "HTTP retry interval", "addresses[2]": "addresses 3", `http.headers["X-Api-Key"]`: "HTTP headers X-Api-Key",
		"http.caCertificatePem": "HTTP CA certificate PEM",
		"deliveries[0].eventId": "deliveries 1 event ID", "custom_field": "custom field", "id": "ID", "": "",
	} {
		if got := web.PlainWords(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
}
