package main_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/allinone"
	"github.com/outbound-events/outbound/services/cli"
)

// listening is `outbound listen` while it runs.
type listening struct {
	out, errors waittest.Log
	// interrupt is what Ctrl-C does, ended gets the exit code.
	interrupt context.CancelFunc
	ended     chan int
}

// listen starts `outbound listen` and waits until it receives, or has ended.
func (h *fixture) listen(args ...string) *listening {
	h.t.Helper()
	l := &listening{ended: make(chan int, 1)}
	ctx, cancel := context.WithCancel(h.t.Context())
	l.interrupt = cancel
	root := cli.New(cli.Options{In: strings.NewReader(""), Out: &l.out, Err: &l.errors, Getenv: func(k string) string { return h.env[k] },
		Version: "test"})
	go func() { l.ended <- cli.Execute(ctx, root, append([]string{"listen"}, args...)) }()
	h.t.Cleanup(cancel)
	waittest.Until(h.t, "outbound listen receives", func() bool { return strings.Contains(l.errors.String(), "Ctrl-C") || len(l.ended) > 0 })
	return l
}

// end waits for the exit code.
func (l *listening) end(t *testing.T) int {
	t.Helper()
	return waittest.Receive(t, "the end of outbound listen", l.ended)
}

// noRecipients waits until no recipient is left.
func (h *fixture) noRecipients() {
	h.t.Helper()
	h.until(func(code int, out string) bool { return code == 0 && strings.Contains(out, `"totalSize": 0`) }, "recipients", "list", "-o", "json")
}

func egressToLoopback(o *allinone.Options) {
	o.AllowEgress, o.URLPolicy = []string{"127.0.0.0/8"}, "https"
}

func TestListenShowsWhatIsDeliveredAndCleansUp(t *testing.T) {
	h := open(t, egressToLoopback)
	h.must("appliances", "add", "a1")
	l := h.listen()
	if out := h.must("recipients", "list"); !strings.Contains(out, "listen-") {
		t.Errorf("there is no temporary recipient:\n%s", out)
	}
	publish := []string{"events", "publish", "--appliance", "a1", "--event", "support_conference_end", "--wait", "--external-key"}
	if out := h.must(append(publish, "INC-1")...); !strings.Contains(out, "DELIVERED") {
		t.Errorf("it is not delivered:\n%s", out)
	}
	waittest.Until(t, "the event is shown", func() bool { return strings.Contains(l.out.String(), `"external_key": "INC-1"`) })
	if out := l.out.String(); strings.Count(out, "signature valid") != 1 || !strings.Contains(out, "support_conference_end  a1~") {
		t.Errorf("shown is\n%s", out)
	}
	// What did not come from Outbound is told apart, and refused.
	url := regexp.MustCompile(`at (https://\S+)`).FindStringSubmatch(l.errors.String())[1]
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // a stranger
	defer client.CloseIdleConnections()
	resp, err := client.Post(url, "application/json", strings.NewReader(`{"type":"forged"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(l.out.String(), "forged  -  signature invalid") {
		t.Errorf("a forged request: %d\n%s", resp.StatusCode, l.out.String())
	}
	l.interrupt()
	if code := l.end(t); code != 0 || !strings.Contains(l.errors.String(), "removed recipient listen-") {
		t.Errorf("exit %d: %s", code, l.errors.String())
	}
	h.noRecipients()
}

func TestListenPassesRequestsOn(t *testing.T) {
	h := open(t, egressToLoopback)
	h.must("appliances", "add", "a1")
	type got struct {
		header http.Header
		body   []byte
	}
	requests := make(chan got, 10)
	var fail atomic.Bool
	fail.Store(true)
	mine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- got{r.Header, body}
		if fail.Load() {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer mine.Close()
	l := h.listen("--forward-to", mine.URL, "--count", "1", "-o", "json", "--event", "support_conference_end")
	h.must("events", "publish", "--appliance", "a1", "--event", "support_conference_end", "--id", "e-1")
	first := waittest.Receive(t, "the first attempt", requests)
	hook, err := standardwebhooks.NewWebhook(regexp.MustCompile(`secret is (whsec_\S+)`).FindStringSubmatch(l.errors.String())[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := hook.Verify(first.body, first.header); err != nil || !strings.Contains(string(first.body), `"id":"e-1"`) {
		t.Errorf("passed on is %s: %v", first.body, err)
	}
	fail.Store(false)
	h.must("deliveries", "send-now", "--event", "a1~e-1")
	waittest.Receive(t, "the second attempt", requests)
	if code := l.end(t); code != 0 {
		t.Errorf("exit %d: %s", code, l.errors.String())
	}
	var statuses []int
	for line := range strings.Lines(l.out.String()) {
		var x struct {
			EventID, EventType, Signature string
			Repeated                      bool
			ForwardStatus                 int
		}
		if err := json.Unmarshal([]byte(line), &x); err != nil || x.EventID != "a1~e-1" || x.Signature != "valid" ||
			x.EventType != "support_conference_end" || x.Repeated != (len(statuses) > 0) {
			t.Errorf("%v: %s", err, line)
		}
		statuses = append(statuses, x.ForwardStatus)
	}
	if len(statuses) != 2 || statuses[0] != http.StatusTeapot || statuses[1] != http.StatusAccepted {
		t.Errorf("the receiver answered %v", statuses)
	}
	h.noRecipients()
}

func TestListenSaysWhatForbidsIt(t *testing.T) {
	h := open(t, func(o *allinone.Options) { o.URLPolicy = "https" })
	l := h.listen()
	code := l.end(t)
	for _, want := range []string{"forbidden", "restart it with --allow-egress 127.0.0.0/8", "removed recipient"} {
		if code != cli.ExitFailed || !strings.Contains(l.errors.String(), want) {
			t.Errorf("exit %d, no %q in %s", code, want, l.errors.String())
		}
	}
	h.noRecipients()
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--forward-to", "ftp://x"}, "--forward-to"},
		{[]string{"--address", "0.0.0.0:0"}, "--address"},
		{[]string{"--address", "nowhere"}, "--address"},
		{[]string{"--format", "xml"}, "--format"},
		{[]string{"--count", "-1"}, "--count"},
	} {
		if code, _, errors := h.run("", append([]string{"listen"}, c.args...)...); code != cli.ExitUsage || !strings.Contains(errors, c.says) {
			t.Errorf("%q: exit %d, %s", c.args, code, errors)
		}
	}
	if code, _, errors := h.run("", "listen", "--event", "nope"); code != cli.ExitFailed || !strings.Contains(errors, "--event: ") {
		t.Errorf("an unknown type: exit %d, %s", code, errors)
	}
	h.noRecipients()
}

func TestPublishWaitsForTheFinalStates(t *testing.T) {
	h := open(t, egressToLoopback, func(o *allinone.Options) { o.URLPolicy = "any" })
	h.must("appliances", "add", "a1")
	publish := func(id string, more ...string) (int, string, string) {
		args := []string{"events", "publish", "--appliance", "a1", "--event", "support_conference_end", "--wait", "--id", id}
		return h.run("", append(args, more...)...)
	}
	if code, _, errors := publish("nobody"); code != cli.ExitUndelivered || !strings.Contains(errors, "no recipient gets event a1~nobody") {
		t.Errorf("without a recipient: exit %d, %s", code, errors)
	}
	_, good := receive(t)
	h.must("recipients", "create", "--name", "good", "--url", good, "--event", "support_conference_end")
	code, out, errors := publish("fine", "-o", "json")
	var e struct {
		EventID    string
		Deliveries []struct{ State string }
	}
	if err := json.Unmarshal([]byte(out), &e); err != nil || code != cli.ExitOK || len(e.Deliveries) != 1 ||
		e.Deliveries[0].State != "DELIVERED" {
		t.Errorf("delivered: exit %d, %v, %s%s", code, err, out, errors)
	}
	bad := httptest.NewServer(http.NotFoundHandler())
	defer bad.Close()
	h.must("recipients", "create", "--name", "bad", "--url", bad.URL, "--event", "support_conference_end", "--retry-interval", "100ms",
		"--retry-duration", "500ms")
	code, out, errors = publish("half")
	if code != cli.ExitUndelivered || !strings.Contains(errors, "1 of 2 deliveries of a1~half failed: bad is EXPIRED") ||
		!strings.Contains(out, "DELIVERED") {
		t.Errorf("half of it: exit %d\n%s%s", code, out, errors)
	}
	h.must("recipients", "update", "bad", "--retry-interval", "1h", "--retry-duration", "24h")
	code, _, errors = publish("late", "--timeout", "2s")
	if code != cli.ExitUndelivered || !strings.Contains(errors, "1 of 2 deliveries of a1~late are not final after 2s: bad is ") {
		t.Errorf("too late: exit %d, %s", code, errors)
	}
}
