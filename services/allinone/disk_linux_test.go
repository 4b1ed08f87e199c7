package allinone_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

const (
	// refusedWithin is how long the answer to an event takes that can't be stored, saidWithin how long it takes until /readyz and the
	// notices say so.
	refusedWithin = 4 * time.Second
	saidWithin    = 5 * time.Second
)

// counter is a receiver that counts requests by event.
type counter struct {
	mu  sync.Mutex
	got map[string]int
	url string
	// down has it answer 503.
	down bool
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	c := &counter{got: map[string]int{}}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		c.got[q.Header.Get("webhook-id")]++
	}))
	t.Cleanup(site.Close)
	c.url = site.URL
	return c
}

func (c *counter) setDown(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

// missing is which of the events have not come, and how many came twice or more.
func (c *counter) missing(ids []string) (missing []string, repeated int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		switch n := c.got["a-1~"+id]; {
		case n == 0:
			missing = append(missing, id)
		case n > 1:
			repeated++
		}
	}
	return missing, repeated
}

// onDisk is an all-in-one on a small disk, with an appliance, and a recipient that counts.
type onDisk struct {
	*running
	disk     *bustest.Disk
	site     *counter
	nc       *nats.Conn
	accepted []string
	log      waittest.Log
}

// startOn starts one that keeps a reserve of so many bytes; 0: the default.
func startOn(t *testing.T, disk *bustest.Disk, reserve uint64) *onDisk {
	t.Helper()
	o := options(t)
	o.Data, o.Disk.Reserve = filepath.Join(disk.Dir, "data"), reserve
	h := &onDisk{disk: disk, site: newCounter(t)}
	o.Telemetry.LogTo = &h.log
	h.running = start(t, o)
	a := h.appliance("a-1")
	h.must("/v1/recipients", fmt.Sprintf(`{"displayName":"Counts","eventTypes":["support_conference_end"],"appliances":["a-1"],
		"http":{"url":%q,"retryInterval":"1s"}}`, h.site.url))
	waittest.NoError(t, "the account of the appliance", func() (err error) {
		h.nc, err = nats.Connect("nats://"+h.at.NATS, nats.UserInfo(a.User, a.Password), nats.MaxReconnects(-1),
			nats.ReconnectWait(50*time.Millisecond))
		return err
	})
	t.Cleanup(h.nc.Close)
	h.post("first", 10)
	h.delivered()
	return h
}

// post posts events and returns how many were accepted before one was refused, the first refusal, and how long it took.
func (h *onDisk) post(prefix string, n int) (refusal string, took time.Duration) {
	h.t.Helper()
	pad := strings.Repeat("x", 20_000)
	for i := range n {
		id, began := fmt.Sprint(prefix, "-", i), time.Now()
		body := strings.TrimSuffix(event(id), "}") + fmt.Sprintf(`,"data":{"pad":%q}}`, pad)
		code, answer, err := h.ask(http.MethodPost, "/v1/events", h.token, body)
		if err != nil {
			h.t.Fatal(err)
		}
		if code != http.StatusOK {
			return fmt.Sprint(code, " ", answer), time.Since(began)
		}
		h.accepted = append(h.accepted, id)
	}
	return "", 0
}

// ready is what /readyz says.
func (h *onDisk) ready() (int, string) {
	h.t.Helper()
	code, text, err := h.ask(http.MethodGet, "/readyz", "", "")
	if err != nil {
		h.t.Fatal(err)
	}
	return code, text
}

// notices are those of the status. While the store is opened again there is no answer.
func (h *onDisk) notices() (string, error) {
	code, text, err := h.ask(http.MethodGet, "/v1/status", h.token, "")
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("the status is answered with %d %s", code, text)
	}
	return text, err
}

// refuses checks that events are refused at once with a reason, and that /readyz and the notices say so in time.
func (h *onDisk) refuses(since time.Time, reason string) {
	h.t.Helper()
	waittest.NoError(h.t, "readyz and the notices to say so", func() error {
		code, text := h.ready()
		notices, err := h.notices()
		if err != nil || code == http.StatusOK || !strings.Contains(text, reason) || !strings.Contains(notices, reason) {
			return fmt.Errorf("%d %s %s: %w", code, text, notices, cmp.Or(err, errors.New("no reason")))
		}
		return nil
	})
	if took := time.Since(since); took > saidWithin+refusedWithin {
		h.t.Errorf("readyz and the notices took %v", took)
	}
	refusal, took := h.post("refused", 1)
	if took > refusedWithin || !strings.HasPrefix(refusal, "503") || !strings.Contains(refusal, reason) {
		h.t.Errorf("POST: %s after %v", refusal, took)
	}
	began := time.Now()
	answer, err := h.nc.Request("outbound.ingest.a-1.support_conference_end", []byte(event("refused-n")), waittest.Limit)
	if err != nil || answer.Header.Get("Nats-Service-Error-Code") != "503" || !strings.Contains(string(answer.Data), reason) ||
		time.Since(began) > refusedWithin {
		h.t.Errorf("NATS: %+v after %v: %v", answer, time.Since(began), err)
	}
}

// recovers waits until events are accepted again, by both ways.
func (h *onDisk) recovers() {
	h.t.Helper()
	n := 0
	waittest.NoError(h.t, "events to be accepted again", func() error {
		n++
		if refusal, _ := h.post(fmt.Sprint("again-", n), 1); refusal != "" {
			return errors.New(refusal)
		}
		code, text := h.ready()
		notices, err := h.notices()
		if err != nil || code != http.StatusOK || strings.Contains(notices, "refused (") {
			return fmt.Errorf("%d %s %s: %w", code, text, notices, cmp.Or(err, errors.New("still refused")))
		}
		return nil
	})
	waittest.NoError(h.t, "an event over NATS", func() error {
		n++
		id := fmt.Sprint("over-nats-", n)
		answer, err := h.nc.Request("outbound.ingest.a-1.support_conference_end", []byte(event(id)), refusedWithin)
		if err != nil || answer.Header.Get("Nats-Service-Error-Code") != "" {
			return fmt.Errorf("%+v: %w", answer, errors.Join(err, errors.New("refused")))
		}
		h.accepted = append(h.accepted, id)
		return nil
	})
}

// delivered waits until all that was accepted has come.
func (h *onDisk) delivered() (repeated int) {
	h.t.Helper()
	waittest.NoError(h.t, "all deliveries", func() error {
		var missing []string
		if missing, repeated = h.site.missing(h.accepted); len(missing) > 0 {
			return fmt.Errorf("%d of %d are missing, e.g. %s", len(missing), len(h.accepted), missing[0])
		}
		return nil
	})
	return repeated
}

// A disk that is full, of bytes or of files, or that refuses writes is told at once; the all-in-one goes on by itself once there is room,
// and nothing is lost.
func TestAFullDiskIsToldAndOutlived(t *testing.T) {
	full := func(d *bustest.Disk) { d.Fill(0) }
	for name, x := range map[string]struct {
		options string
		reserve uint64
		harm    func(*bustest.Disk)
		mend    func(*bustest.Disk)
		reason  string
		// reopened says that the broker meets a write error.
		reopened bool
	}{
		"no space": {"size=128m", 0, full, (*bustest.Disk).Clear, "STORE_FULL", false},
		// What is left is more than the reserve, so that the broker is given an event that it can't write.
		"a write error": {"size=128m", 1, func(d *bustest.Disk) { d.Fill(50 << 10) }, (*bustest.Disk).Clear, "STORE_FULL", true},
		"no inodes": {"size=256m,nr_inodes=1000", 0, func(d *bustest.Disk) { d.FillInodes(0) }, (*bustest.Disk).Clear,
			"STORE_FULL", false},
		"the reserve": {"size=128m", 0, func(d *bustest.Disk) { d.Fill(12 << 20) }, (*bustest.Disk).Clear, "STORE_FULL", false},
		"read-only": {"size=256m", 0, func(d *bustest.Disk) { d.ReadOnly(true) }, func(d *bustest.Disk) { d.ReadOnly(false) },
			"STORE_FAILED", true},
	} {
		t.Run(name, func(t *testing.T) {
			h := startOn(t, bustest.NewDisk(t, x.options), x.reserve)
			x.harm(h.disk)
			refusal, took := h.post("full", 10_000)
			if refusal == "" || took > refusedWithin+time.Second {
				t.Errorf("the first refusal, after %v: %s", took, refusal)
			}
			h.refuses(time.Now(), x.reason)
			x.mend(h.disk)
			h.recovers()
			if repeated := h.delivered(); repeated > 0 {
				t.Errorf("%d of %d events came twice", repeated, len(h.accepted))
			}
			if x.reopened && !strings.Contains(h.log.String(), "store opened again") {
				t.Error("the store was not opened again: there was no write error")
			}
			began := time.Now()
			if err, took := h.wait(), time.Since(began); took > endsWithin || err != nil {
				t.Errorf("it ended after %v: %v", took, err)
			}
		})
	}
}

// While the reserve is kept from events, what was accepted is still delivered and recorded, and the configuration can be changed.
func TestTheReserveHasRoomForRecordsAndChanges(t *testing.T) {
	h := startOn(t, bustest.NewDisk(t, "size=128m"), 0)
	h.site.setDown(true)
	h.post("before", 50)
	h.disk.Fill(12 << 20)
	h.refuses(time.Now(), "STORE_FULL")
	h.site.setDown(false)
	id := h.recipient("Added", h.site.url, `,"appliances":["a-2"]`)
	h.as(h.token, http.MethodDelete, "/v1/recipients/"+id, "")
	h.delivered()
	if code, text := h.ready(); code == http.StatusOK {
		t.Errorf("it is ready: %s", text)
	}
}

// The end comes in time though the disk is full.
func TestTheAllInOneEndsInTimeThoughItsDiskIsFull(t *testing.T) {
	h := startOn(t, bustest.NewDisk(t, "size=128m"), 0)
	h.site.setDown(true)
	h.post("before", 50)
	began := time.Now()
	h.disk.Fill(0)
	h.post("full", 10_000)
	h.refuses(began, "STORE_FULL")
	began = time.Now()
	if err, took := h.wait(), time.Since(began); took > endsWithin || err != nil {
		t.Errorf("it ended after %v: %v", took, err)
	}
	kept := h.accepted
	h.disk.Clear()
	h.site.setDown(false)
	o := options(t)
	o.Data = h.data
	h.running = start(t, o)
	h.accepted = kept
	h.delivered()
}
