package harness_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// post sends what a sender would, and returns the status.
func post(t *testing.T, url, id, body string) int {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("webhook-id", id)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	return r.StatusCode
}

func TestAnAccountFindsWhatWentWrong(t *testing.T) {
	site := harness.NewReceiver(t)
	site.Answer("one", 500, 200)
	for _, c := range []struct {
		id, body string
		status   int
	}{
		{"a~1", "x", 500}, {"a~1", "x", 200}, // a retry
		{"a~2", "y", 500},                    // never delivered
		{"a~3", "z", 500}, {"a~3", "Z", 200}, // another body
		{"a~1", "x", 200},   // a duplicate
		{"a~999", "?", 500}, // nobody published it
	} {
		if got := post(t, site.URL("one"), c.id, c.body); got != c.status {
			t.Errorf("%s was answered %d, want %d", c.id, got, c.status)
		}
	}
	a := site.Account([]string{"a~1", "a~2", "a~3", "a~4"}, []string{"one"})
	if a.Owed != 4 || a.Arrived != 2 || strings.Join(a.Lost, " ") != "one/a~2 one/a~4" || strings.Join(a.Phantom, " ") != "one/a~999" ||
		strings.Join(a.Changed, " ") != "one/a~3" || a.Duplicates != 1 {
		t.Errorf("the account is %v: %+v", a, a)
	}
	if site.Distinct("one") != 4 || site.Len() != 7 || len(site.Of("other")) != 0 {
		t.Errorf("%d ids, %d requests", site.Distinct("one"), site.Len())
	}
}

func TestAHeldRequestIsNoSuccess(t *testing.T) {
	site := harness.NewReceiver(t)
	release := site.Hold("held")
	done := make(chan int)
	go func() { done <- post(t, site.URL("held"), "a~1", "x") }()
	waittest.NoError(t, "the request", func() error {
		if site.Len() == 0 {
			return errNothing
		}
		return nil
	})
	release()
	if got := <-done; got != http.StatusServiceUnavailable {
		t.Errorf("a released request is answered %d", got)
	}
	if a := site.Account([]string{"a~1"}, []string{"held"}); a.Arrived != 0 || len(a.Lost) != 1 {
		t.Errorf("the account is %v", a)
	}
	if got := post(t, site.URL("held"), "a~1", "x"); got != http.StatusOK {
		t.Errorf("the next one is answered %d", got)
	}
}
