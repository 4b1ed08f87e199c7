package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestATokenOfAnApplianceIsRenewedWithoutAGap(t *testing.T) {
	h := open(t)
	type credentials struct{ Password, Token string }
	issued := func(args ...string) credentials {
		t.Helper()
		var c credentials
		if err := json.Unmarshal([]byte(h.must(append(args, "-o", "json")...)), &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	n := 0
	accepts := func(token string) int {
		t.Helper()
		n++
		body := fmt.Sprintf(`{"specversion":"1.0","id":"e-%d","source":"a1","type":"support_conference_end"}`, n)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.env["OUTBOUND_URL"]+"/v1/events", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/cloudevents+json")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	is := func(what, token string, want int) {
		t.Helper()
		waittest.NoError(t, what, func() error {
			if got := accepts(token); got != want {
				return fmt.Errorf("answered %d, want %d", got, want)
			}
			return nil
		})
	}
	first := issued("appliances", "add", "a1")
	if out := h.must("appliances", "list"); first.Password == "" || strings.Contains(out, "never") {
		t.Errorf("issued %+v, and the token does not expire:\n%s", first, out)
	}
	is("the first token is accepted", first.Token, http.StatusOK)
	second := issued("appliances", "rotate", "a1", "--token-only", "--overlap", "1h")
	is("the second token is accepted", second.Token, http.StatusOK)
	if second.Password != "" || accepts(first.Token) != http.StatusOK {
		t.Errorf("during the overlap: %+v, the first one is refused", second)
	}
	third := issued("appliances", "rotate", "a1", "--token-only")
	is("the second token is refused", second.Token, http.StatusUnauthorized)
	if accepts(third.Token) != http.StatusOK || accepts(first.Token) != http.StatusUnauthorized {
		t.Error("without an overlap: the third one is refused, or the first one is accepted")
	}
	if out := h.must("appliances", "set", "a1", "--token-never-expires"); strings.Contains(out, "tokenExpireTime") {
		t.Errorf("it still expires:\n%s", out)
	}
	is("the token stays", third.Token, http.StatusOK)
}
