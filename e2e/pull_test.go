package e2e_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// pullKey signs the deliveries of a recipient that pulls.
const pullKey = "a key that only receiver and sender know"

// A receiver has some deliveries before it misses others, and acknowledges a part of these.
const (
	pulledBefore, pulledMissed, pulledHalf = 5, 20, 15

	pulledAll = pulledBefore + pulledMissed
)

// pulled is a delivery as a receiver pulls it.
type pulled struct {
	sequence, previous uint64
	id, state, reason  string
	header             harness.Object
	body               []byte
}

// pull pulls deliveries, and checks that they are in order.
func pull(t *testing.T, c *harness.Client, recipient, query string) (all []pulled, answer harness.Object) {
	t.Helper()
	answer = c.Do(t, http.MethodGet, "/v1/recipients/"+recipient+"/deliveries:pull?"+query, nil)
	list, _ := answer["deliveries"].([]any)
	for _, x := range list {
		d, _ := x.(harness.Object)
		header, _ := d["headers"].(harness.Object)
		text, _ := d["body"].(string)
		body, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		one := pulled{sequence: number(t, d["sequence"]), id: fmt.Sprint(d["eventId"]), state: fmt.Sprint(d["state"]), header: header, body: body}
		if d["previous"] != nil {
			one.previous = number(t, d["previous"])
		}
		one.reason, _ = d["reason"].(string)
		if n := len(all); n > 0 && all[n-1].sequence >= one.sequence {
			t.Fatalf("number %d follows %d", one.sequence, all[n-1].sequence)
		}
		all = append(all, one)
	}
	return all, answer
}

// signedAs says why a pulled delivery is not signed as one that is posted.
func (p pulled) signedAs() error {
	get := func(name string) string { return fmt.Sprint(p.header[name]) }
	mac := hmac.New(sha256.New, []byte(pullKey))
	fmt.Fprintf(mac, "%s.%s.%s", get("Webhook-Id"), get("Webhook-Timestamp"), p.body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); get("Webhook-Signature") != want || get("Webhook-Id") != p.id {
		return fmt.Errorf("%s has the signature %s, want %s", get("Webhook-Id"), get("Webhook-Signature"), want)
	}
	if get("Outbound-Sequence") != strconv.FormatUint(p.sequence, 10) || get("Outbound-Previous") != strconv.FormatUint(p.previous, 10) ||
		p.previous != p.sequence-1 {
		return fmt.Errorf("%s is %d after %d, with headers %v", p.id, p.sequence, p.previous, p.header)
	}
	return nil
}

// pullsWhatItMissed has a receiver go away, pull what it missed, acknowledge half of it, and come back: it is sent the other half alone.
func pullsWhatItMissed(t *testing.T, h *harness.System) {
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "pull-1")
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(pullKey))
	r := webhook("pull", site.URL("pull"), []string{ended}, harness.Object{
		"retryInterval": "1s", "format": "JSON", "signingSecrets": []harness.Object{{"secret": secret}},
		"headers": harness.Object{"X-Door": "open sesame"},
	})
	r["appliances"], r["filter"] = []string{a.ID}, `event.id != "missed-03"`
	id := h.AddRecipient(t, r)
	receiver := receiverToken(t, h, id)
	for i := range pulledBefore {
		publish(t, a, harness.NewEvent(a.ID, fmt.Sprint("before-", i), ended, harness.Object{"note": "größer & <mehr>"}))
		arrived(t, site, "pull", i+1)
	}
	settledAny(t, h, id, pulledBefore)
	site.Answer("pull", http.StatusServiceUnavailable)
	for i := range pulledMissed {
		publish(t, a, harness.NewEvent(a.ID, fmt.Sprintf("missed-%02d", i), ended, harness.Object{}))
	}

	all := pullsInOrder(t, site, receiver, id)
	acknowledges(t, h, receiver, id)

	// The receiver is back: it is sent the others, and none of what it has.
	site.Answer("pull", http.StatusOK)
	settledAny(t, h, id, pulledAll)
	drainedOver(t, h, id)
	came := map[string]int{}
	for _, p := range site.Of("pull") {
		if p.Status == http.StatusOK {
			came[p.ID]++
		}
	}
	// One that was being posted while it was acknowledged may have come.
	inHand := 0
	for i, p := range all {
		switch pushed := i < pulledBefore || i >= pulledBefore+pulledHalf; {
		case pushed && came[p.id] != 1:
			t.Errorf("%s, number %d, was posted %d times with success", p.id, p.sequence, came[p.id])
		case !pushed:
			inHand += came[p.id]
		}
	}
	if inHand > 1 {
		t.Errorf("%d of %d that were acknowledged were posted", inHand, pulledHalf)
	}
	if rest, answer := pull(t, receiver, id, ""); len(rest) != 0 || number(t, answer["cursor"]) != pulledAll {
		t.Errorf("%d are left in the end: %v", len(rest), answer)
	}
	opensOneDoor(t, h, receiver, id, r)
}

// pullsInOrder pulls all of it, in order; what was posted is told with the very body.
func pullsInOrder(t *testing.T, site *harness.Receiver, receiver *harness.Client, id string) []pulled {
	t.Helper()
	all, answer := pull(t, receiver, id, "after=0&limit=500")
	if len(all) != pulledAll || number(t, answer["last"]) != pulledAll || number(t, answer["nextAfter"]) != pulledAll {
		t.Fatalf("%d were pulled: %v", len(all), answer)
	}
	posted := site.Of("pull")
	for i, p := range all {
		switch skipped := i == pulledBefore+3; {
		case p.sequence != uint64(i+1):
			t.Fatalf("number %d is at %d", p.sequence, i)
		case skipped && (p.state != "SKIPPED" || p.reason != "filter_false" || len(p.body) > 0 || len(p.header) > 0):
			t.Errorf("what the filter takes out came as %s (%s) with %q", p.state, p.reason, p.body)
		case !skipped && p.signedAs() != nil:
			t.Error(p.signedAs())
		case i < pulledBefore && (p.state != "DELIVERED" || !bytes.Equal(p.body, posted[i].Body) || p.id != posted[i].ID):
			t.Errorf("%s is %s with %q, and was posted as %q", p.id, p.state, p.body, posted[i].Body)
		}
		if p.header["X-Door"] != nil || p.header["User-Agent"] != nil {
			t.Errorf("it tells %v", p.header)
		}
	}
	pages(t, receiver, id, all)

	return all
}

// acknowledges acknowledges the first ones that a receiver missed.
func acknowledges(t *testing.T, h *harness.System, receiver *harness.Client, id string) {
	t.Helper()
	path := "/v1/recipients/" + id + "/deliveries:acknowledge"
	if code, p := receiver.Refused(t, http.MethodPost, path, harness.Object{"through": pulledAll + 1}); code != http.StatusBadRequest ||
		len(p.Violations) != 1 || p.Violations[0].Field != "through" {
		t.Errorf("a number that was not given: %d %+v", code, p)
	}
	if code, p := receiver.Refused(t, http.MethodGet, "/v1/recipients/"+id+"/deliveries:pull?after="+strconv.Itoa(pulledAll+1), nil); code !=
		http.StatusBadRequest || len(p.Violations) != 1 || p.Violations[0].Field != "after" {
		t.Errorf("what follows a number that was not given: %d %+v", code, p)
	}
	done := receiver.Do(t, http.MethodPost, path, harness.Object{"through": pulledBefore + pulledHalf})
	if got := number(t, done["acknowledged"]); number(t, done["cursor"]) != pulledBefore+pulledHalf || got < pulledHalf-1 || got > pulledHalf {
		t.Errorf("acknowledged as %v", done)
	}
	again := receiver.Do(t, http.MethodPost, path, harness.Object{"through": pulledBefore + pulledHalf})
	if number(t, again["acknowledged"]) != 0 || number(t, again["cursor"]) != pulledBefore+pulledHalf {
		t.Errorf("acknowledged again as %v", again)
	}
	if states := h.REST.States(t, id); states["DELIVERED"] != pulledBefore+pulledHalf-1 || states["SKIPPED"] != 1 {
		t.Errorf("states %v", states)
	}
	rest, answer := pull(t, receiver, id, "")
	if len(rest) != pulledMissed-pulledHalf || rest[0].sequence != pulledBefore+pulledHalf+1 ||
		number(t, answer["cursor"]) != pulledBefore+pulledHalf {
		t.Errorf("%d are left: %v", len(rest), answer)
	}
}

// pullsInsteadOfBeingSent has a receiver that nothing is sent to pull everything. Once it is sent what comes, it gets nothing twice.
func pullsInsteadOfBeingSent(t *testing.T, h *harness.System) {
	const n = 12
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "pull-2")
	r := webhook("pull only", site.URL("pull-only"), []string{ended}, nil)
	r["appliances"], r["enabled"], r["whileDisabled"] = []string{a.ID}, false, "HOLD"
	id := h.AddRecipient(t, r)
	receiver := receiverToken(t, h, id)
	for i := range n {
		publish(t, a, harness.NewEvent(a.ID, fmt.Sprint("e-", i), ended, harness.Object{}))
	}
	for got := 0; got < n; {
		page, answer := pull(t, receiver, id, "limit=5")
		if len(page) == 0 || page[0].sequence != uint64(got+1) || page[0].state != "WAITING" || len(page[0].body) == 0 {
			t.Fatalf("behind %d it pulls %v", got, answer)
		}
		got += len(page)
		receiver.Do(t, http.MethodPost, "/v1/recipients/"+id+"/deliveries:acknowledge", harness.Object{"through": got})
	}
	for _, d := range everyDelivery(t, h, id) {
		if d["state"] != "DELIVERED" || d["reason"] != "pulled" {
			t.Errorf("%v is %v (%v)", d["eventId"], d["state"], d["reason"])
		}
	}
	logs := h.Logs()
	if h.Shape == harness.Containers {
		logs = h.Compose(t, "logs", "http-sender")
	}
	if !strings.Contains(logs, "reason=pulled") && !strings.Contains(logs, `"reason":"pulled"`) {
		t.Error("the log tells of no end by an acknowledgement")
	}
	h.REST.Do(t, http.MethodPatch, "/v1/recipients/"+id, harness.Object{"enabled": true})
	publish(t, a, harness.NewEvent(a.ID, "last", ended, harness.Object{}))
	settledAny(t, h, id, n+1)
	drainedOver(t, h, id)
	if got := site.Of("pull-only"); len(got) != 1 || got[0].ID != a.ID+"~last" || got[0].Header.Get("Outbound-Sequence") != fmt.Sprint(n+1) {
		t.Errorf("it was sent %d, want the last one alone", len(got))
	}
	mail := h.AddRecipient(t, harness.Object{"displayName": "pull mail", "eventTypes": []string{ended}, "appliances": []string{a.ID},
		"email": harness.Object{"addresses": []string{"a@example.com"}, "subject": "x", "body": "y"}, "enabled": false})
	if code, p := h.REST.Refused(t, http.MethodGet, "/v1/recipients/"+mail+"/deliveries:pull", nil); code != http.StatusBadRequest ||
		p.Code != int(codes.FailedPrecondition) {
		t.Errorf("mails are pulled: %d %+v", code, p)
	}
}

// drainedOver waits until nothing waits in a recipient's queue.
func drainedOver(t *testing.T, h *harness.System, id string) {
	t.Helper()
	waittest.NoError(t, "the queue of "+id+" to be empty", func() error {
		status := h.REST.Do(t, http.MethodGet, "/v1/status", nil)
		list, _ := status["recipients"].([]any)
		for _, x := range list {
			if r, _ := x.(harness.Object); r["recipientId"] == id {
				if waiting := r["queuedEvents"]; waiting != nil && waiting != "0" {
					return fmt.Errorf("%v wait", waiting)
				}
				return nil
			}
		}
		return fmt.Errorf("%s is not in the status", id)
	})
}

// pages pulls page by page and compares.
func pages(t *testing.T, c *harness.Client, id string, all []pulled) {
	t.Helper()
	after, n := "0", 0
	for more := true; more; {
		page, answer := pull(t, c, id, "limit=7&after="+after)
		for i, p := range page {
			if p.sequence != all[n+i].sequence || p.id != all[n+i].id {
				t.Fatalf("page at %s has %d %s, want %d %s", after, p.sequence, p.id, all[n+i].sequence, all[n+i].id)
			}
		}
		n += len(page)
		more, _ = answer["more"].(bool)
		after = fmt.Sprint(number(t, answer["nextAfter"]))
		if len(page) == 0 || len(page) > 7 {
			t.Fatalf("a page has %d: %v", len(page), answer)
		}
	}
	if n != len(all) {
		t.Errorf("the pages have %d, want %d", n, len(all))
	}
}

// receiverToken makes a token of a recipient.
func receiverToken(t *testing.T, h *harness.System, recipient string) *harness.Client {
	t.Helper()
	made := h.REST.Do(t, http.MethodPost, "/v1/tokens", harness.Object{"displayName": "pull", "role": "RECEIVER", "recipientId": recipient})
	c := h.REST.As(fmt.Sprint(made["secret"]))
	t.Cleanup(c.Close)
	return c
}

// opensOneDoor shows that a receiver's token is good for its recipient alone, as long as that is there.
func opensOneDoor(t *testing.T, h *harness.System, receiver *harness.Client, id string, r harness.Object) {
	t.Helper()
	for _, path := range []string{
		"/v1/recipients", "/v1/recipients/" + id, "/v1/deliveries", "/v1/events", "/v1/recipients/other/deliveries:pull",
	} {
		if code, _ := receiver.Refused(t, http.MethodGet, path, nil); code != http.StatusForbidden {
			t.Errorf("GET %s is answered %d", path, code)
		}
	}
	for field, token := range map[string]harness.Object{
		"recipientId": {"displayName": "x", "role": "RECEIVER", "recipientId": "nobody"},
		"role":        {"name": "pull-user", "role": "RECEIVER", "password": "a long enough phrase"},
	} {
		path := map[string]string{"recipientId": "/v1/tokens", "role": "/v1/users"}[field]
		if code, p := h.REST.Refused(t, http.MethodPost, path, token); code != http.StatusBadRequest || len(p.Violations) != 1 ||
			p.Violations[0].Field != field {
			t.Errorf("POST %s: %d %+v", path, code, p)
		}
	}
	h.REST.Do(t, http.MethodDelete, "/v1/recipients/"+id, nil)
	r["id"] = id
	waittest.NoError(t, "another recipient with the same id", func() error {
		a, err := h.REST.Call(http.MethodPost, "/v1/recipients", r)
		if err == nil && a.Status != http.StatusOK {
			err = fmt.Errorf("%d: %s", a.Status, a.Body)
		}
		return err
	})
	waittest.NoError(t, "the token to be refused", func() error {
		a, err := receiver.Call(http.MethodGet, "/v1/recipients/"+id+"/deliveries:pull", nil)
		if err == nil && a.Status != http.StatusForbidden {
			err = fmt.Errorf("%d: %s", a.Status, a.Body)
		}
		return err
	})
}

// clientsOfTheManualPull runs the programs of docs/receivers.md: each pulls what is there, goes on where it was, and takes nothing that is
// not signed with its secret.
func clientsOfTheManualPull(t *testing.T, h *harness.System) {
	const n = 7
	a := h.AddAppliance(t, "pull-3")
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(pullKey))
	for name, command := range map[string][]string{
		"python": {"python3", "../docs/examples/pull/pull.py"},
		"node":   {"node", "../docs/examples/pull/pull.mjs"},
		"go":     {"go", "run", "../docs/examples/pull/pull.go"},
	} {
		if _, err := exec.LookPath(command[0]); err != nil {
			t.Logf("%s is not tested: %v", name, err)
			continue
		}
		r := webhook(name, "http://127.0.0.1:9/pull", []string{ended}, harness.Object{"signingSecrets": []harness.Object{{"secret": secret}}})
		r["appliances"], r["enabled"], r["whileDisabled"] = []string{a.ID}, false, "HOLD"
		id := h.AddRecipient(t, r)
		receiver := receiverToken(t, h, id)
		for i := range n {
			publish(t, a, harness.NewEvent(a.ID, fmt.Sprint(name, "-", i), ended, harness.Object{}))
		}
		file := filepath.Join(t.TempDir(), "last")
		run := func(secret string) (lines []string, err error) {
			cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], file)...)
			cmd.Env = append(os.Environ(), "OUTBOUND_URL="+receiver.Base, "OUTBOUND_TOKEN="+receiver.Token, "RECIPIENT="+id,
				"WEBHOOK_SECRET="+secret)
			out, err := cmd.Output()
			return strings.Split(strings.TrimSpace(string(out)), "\n"), err
		}
		if lines, err := run("whsec_" + base64.StdEncoding.EncodeToString([]byte("another key of twenty-four bytes"))); err == nil ||
			lines[0] != "" {
			t.Fatalf("%s takes what is not signed: %v %q", name, err, lines)
		}
		lines, err := run(secret)
		if err != nil || len(lines) != n || !strings.HasPrefix(lines[n-1], fmt.Sprintf("%d %s~%s-%d WAITING ", n, a.ID, name, n-1)) {
			t.Fatalf("%s: %v: %q", name, err, lines)
		}
		publish(t, a, harness.NewEvent(a.ID, name+"-more", ended, harness.Object{}))
		next := fmt.Sprintf("%d %s~%s-more ", n+1, a.ID, name)
		if lines, err = run(secret); err != nil || len(lines) != 1 || !strings.HasPrefix(lines[0], next) {
			t.Fatalf("%s, the second time: %v: %q", name, err, lines)
		}
		if states := h.REST.States(t, id); states["DELIVERED"] != n+1 || len(states) != 1 {
			t.Errorf("%s: states %v", name, states)
		}
		h.REST.Do(t, http.MethodDelete, "/v1/recipients/"+id, nil)
	}
}
