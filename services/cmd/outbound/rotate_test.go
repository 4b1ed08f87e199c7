package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/allinone"
)

// signedRequests are what a receiver has got, with its headers.
type signedRequests struct {
	mu  sync.Mutex
	all []signedRequest
}

type signedRequest struct {
	header http.Header
	body   []byte
}

// verifies reports whether a request verifies with a secret, as the library of Standard Webhooks sees it.
func (r signedRequest) verifies(t *testing.T, secret string) bool {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	return hook.Verify(r.body, r.header) == nil
}

// signedAt is when a request was signed, in whole seconds.
func (r signedRequest) signedAt(t *testing.T) time.Time {
	t.Helper()
	n, err := strconv.ParseInt(r.header.Get("webhook-timestamp"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(n, 0)
}

// last is the latest request.
func (s *signedRequests) last() signedRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[len(s.all)-1]
}

// receive starts a receiver that keeps requests.
func receive(t *testing.T) (*signedRequests, string) {
	t.Helper()
	got := &signedRequests{}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got.mu.Lock()
		defer got.mu.Unlock()
		got.all = append(got.all, signedRequest{header: r.Header, body: body})
	}))
	t.Cleanup(receiver.Close)
	return got, receiver.URL
}

var shownSecret = regexp.MustCompile(`shown only once: (whsec_\S+)`)

func TestARotatedSecretSignsBesideTheOldOneAndTheOldOneEnds(t *testing.T) {
	h := open(t, func(o *allinone.Options) { o.AllowEgress = []string{"127.0.0.0/8"} })
	got, url := receive(t)
	h.must("appliances", "add", "a1")
	secret := func(out string) string {
		t.Helper()
		found := shownSecret.FindStringSubmatch(out)
		if found == nil {
			t.Fatalf("no secret is shown in %s", out)
		}
		return found[1]
	}
	first := secret(h.must("recipients", "create", "--name", "crm", "--url", url, "--event", "support_conference_end", "--sign"))
	published := 0
	publish := func() {
		t.Helper()
		published++
		h.must("events", "publish", "--appliance", "a1", "--event", "support_conference_end", "--id", fmt.Sprint("e-", published))
		waittest.NoError(t, "the event arrives", func() error {
			got.mu.Lock()
			defer got.mu.Unlock()
			if len(got.all) < published {
				return fmt.Errorf("%d of %d", len(got.all), published)
			}
			return nil
		})
	}
	publish()
	if code, _, errors := h.run("", "recipients", "update", "crm", "--sign"); code != 2 || !strings.Contains(errors, "rotate-secret crm") {
		t.Errorf("an update replaces the secret: exit %d, %s", code, errors)
	}
	second := secret(h.must("recipients", "rotate-secret", "crm", "--overlap", "6s"))
	end := h.endOfFirstSecret("crm")
	waittest.Until(t, "the old secret has ended", func() bool {
		publish()
		return got.last().verifies(t, second) && !got.last().verifies(t, first)
	})
	both, alone := 0, 0
	for _, r := range got.all {
		old, fresh := r.verifies(t, first), r.verifies(t, second)
		switch at := r.signedAt(t); {
		case old && fresh:
			both++
		case fresh:
			alone++
		case !old:
			t.Errorf("a request at %v verifies with no secret", at)
		}
		// A timestamp has whole seconds.
		if at := r.signedAt(t); at.Before(end) != old && at.Sub(end).Abs() > time.Second {
			t.Errorf("a request at %v is signed with the old secret: %t; it ends at %v", at, old, end)
		}
	}
	if both == 0 || alone == 0 {
		t.Errorf("%d requests carry both signatures, %d the new one alone", both, alone)
	}
}

// endOfFirstSecret is when the first signing secret of a recipient ends.
func (h *fixture) endOfFirstSecret(id string) time.Time {
	h.t.Helper()
	var r struct {
		HTTP struct {
			SigningSecrets []struct{ ExpireTime time.Time }
		}
	}
	if err := json.Unmarshal([]byte(h.must("recipients", "get", id, "-o", "json")), &r); err != nil {
		h.t.Fatal(err)
	}
	return r.HTTP.SigningSecrets[0].ExpireTime
}
