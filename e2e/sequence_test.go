package e2e_test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// TestNumbersHaveNoGapThoughASenderIsKilled has two senders share two recipients, one of which fails now and then and one of which takes
// part of the events, and kills one in the middle, twice. Then the receiver's numbers, in the order in which the events were accepted,
// are 1, 2, 3 and so on, each with one event, however often that came.
func TestNumbersHaveNoGapThoughASenderIsKilled(t *testing.T) {
	t.Parallel()
	const n = 450
	h := harness.Start(t, harness.Services)
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "numbers-1")
	site.Answer("num-flaky", 500, 200)
	names := []string{"num-flaky", "num-filtered"}
	ids := []string{
		h.AddRecipient(t, webhook("num-flaky", site.URL("num-flaky"), []string{ended}, harness.Object{"retryInterval": "0.2s"})),
	}
	filtered := webhook("num-filtered", site.URL("num-filtered"), []string{ended}, harness.Object{"retryInterval": "0.2s"})
	filtered["filter"] = `event.id.endsWith("1") || event.id.endsWith("2") || event.id.endsWith("3")`
	ids = append(ids, h.AddRecipient(t, filtered))
	flood := a.Flood(t.Context(), n, 8, ended)
	for i, sender := range []string{"http-sender-1", "http-sender-2"} {
		waittest.NoError(t, "events to arrive", func() error {
			if got := site.Distinct(names[0]); got < (i+1)*n/4 {
				return fmt.Errorf("%d have arrived", got)
			}
			return nil
		})
		h.Kill(t, sender)
		h.StartPart(t, sender)
	}
	flood.Wait(t)
	for i, id := range ids {
		settledAny(t, h, id, n)
		numbered(t, h, site, names[i], id, n)
	}
	h.Stop(t)
}

// numbered checks the numbers of a recipient that was owed n events.
func numbered(t *testing.T, h *harness.System, site *harness.Receiver, name, id string, n int) {
	t.Helper()
	told := map[string]uint64{}
	for _, r := range site.Of(name) {
		number, err := strconv.ParseUint(r.Header.Get("Outbound-Sequence"), 10, 64)
		if err != nil || r.Header.Get("Outbound-Previous") != strconv.FormatUint(number-1, 10) {
			t.Fatalf("%s: %s came as number %q after %q", name, r.ID, r.Header.Get("Outbound-Sequence"), r.Header.Get("Outbound-Previous"))
		}
		if other, again := told[r.ID]; again && other != number {
			t.Fatalf("%s: %s came as number %d and as %d", name, r.ID, other, number)
		}
		told[r.ID] = number
	}
	type listed struct {
		key                string
		position, sequence uint64
	}
	var all []listed
	for _, d := range everyDelivery(t, h, id) {
		key := fmt.Sprint(d["eventId"])
		event := h.REST.Do(t, http.MethodGet, "/v1/events/"+url.PathEscape(key), nil)
		x := listed{key: key, position: number(t, event["sequence"]), sequence: number(t, d["sequence"])}
		all = append(all, x)
		if came, ok := told[key]; ok && came != x.sequence {
			t.Errorf("%s: %s came as number %d and is recorded as %d", name, key, came, x.sequence)
		}
		if _, ok := told[key]; !ok && d["state"] != "SKIPPED" {
			t.Errorf("%s: %s is %v and never came", name, key, d["state"])
		}
	}
	slices.SortFunc(all, func(a, b listed) int { return cmp.Compare(a.position, b.position) })
	for i, x := range all {
		if x.sequence != uint64(i)+1 {
			t.Fatalf("%s: event %d in the order of acceptance, %s, has number %d", name, i+1, x.key, x.sequence)
		}
	}
	if len(all) != n {
		t.Errorf("%s: %d deliveries are listed, want %d", name, len(all), n)
	}
}

// number reads a number as JSON has it.
func number(t *testing.T, x any) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(fmt.Sprint(x), 10, 64)
	if err != nil {
		t.Fatalf("%v is not a number", x)
	}
	return n
}

// everyDelivery lists the deliveries to a recipient, page by page.
func everyDelivery(t *testing.T, h *harness.System, recipient string) (out []harness.Object) {
	t.Helper()
	for token := ""; ; {
		q := url.Values{"recipient_id": {recipient}, "page_size": {"500"}, "page_token": {token}}
		page := h.REST.Do(t, http.MethodGet, "/v1/deliveries?"+q.Encode(), nil)
		list, _ := page["deliveries"].([]any)
		for _, d := range list {
			one, _ := d.(harness.Object)
			out = append(out, one)
		}
		if token, _ = page["nextPageToken"].(string); token == "" {
			return out
		}
	}
}
