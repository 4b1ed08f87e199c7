package audits_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/auditlog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/config/internal/audits"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// received are bodies of entries, as they came.
type received struct {
	mu   sync.Mutex
	list []string
}

func (r *received) add(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, text)
}

// numbers are those of the entries that came, in order; -1 for one whose hash is not that of its bytes.
func (r *received) numbers() (out []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, text := range r.list {
		var m struct {
			Hash  string          `json:"hash"`
			Entry json.RawMessage `json:"entry"`
		}
		if json.Unmarshal([]byte(text), &m) != nil || audit.Hash(m.Entry) != m.Hash {
			out = append(out, -1)
			continue
		}
		var e audit.Entry
		_ = json.Unmarshal(m.Entry, &e)
		out = append(out, int(e.Number))
	}
	return out
}

// run sends entries on until the function that it returns is called.
func run(t *testing.T, conn *bus.Conn, o audits.Options, board *notice.Board) (stop func()) {
	t.Helper()
	s, err := audits.New(audits.Deps{Log: auditlog.New(conn), Notices: board, Options: o})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	return func() { cancel(); wg.Wait() }
}

func appendEntries(t *testing.T, conn *bus.Conn, n int) {
	t.Helper()
	l := auditlog.New(conn)
	for i := range n {
		_, err := l.Append(t.Context(), audit.Entry{Action: "recipient.update", Object: fmt.Sprint("recipients/", i), Outcome: audit.OK})
		must(t, err)
	}
}

// inOrder reports whether 1 to n have come, in this order and once each.
func inOrder(got []int, n int) bool {
	for i, x := range got {
		if x != i+1 {
			return false
		}
	}
	return len(got) == n
}

func TestAWebhookGetsEachEntryOnceAlsoAfterRefusalsAndARestart(t *testing.T) {
	conn := bustest.Start(t).Conn()
	var got received
	var mu sync.Mutex
	refuse := 3
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if refuse > 0 {
			refuse--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		content, _ := io.ReadAll(r.Body)
		got.add(string(content))
	}))
	defer receiver.Close()
	o := audits.DefaultOptions()
	o.Webhook.URL = receiver.URL
	board := notice.NewBoard(slog.New(slog.DiscardHandler))
	appendEntries(t, conn, 10)
	stop := run(t, conn, o, board)
	waittest.Until(t, "10 entries", func() bool { return len(got.numbers()) == 10 })
	stop()
	appendEntries(t, conn, 5)
	stop = run(t, conn, o, board)
	defer stop()
	waittest.Until(t, "15 entries", func() bool { return len(got.numbers()) >= 15 })
	if !inOrder(got.numbers(), 15) {
		t.Errorf("got %v", got.numbers())
	}
}

func TestASyslogServerGetsMessagesOfRFC5424(t *testing.T) {
	conn := bustest.Start(t).Conn()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	var got received
	var serving sync.WaitGroup
	serving.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		in := bufio.NewReader(c)
		for {
			// Octet counting (RFC 6587, 3.4.1).
			length, err := in.ReadString(' ')
			n, bad := strconv.Atoi(strings.TrimSpace(length))
			if err != nil || bad != nil {
				return
			}
			m := make([]byte, n)
			if _, err := io.ReadFull(in, m); err != nil {
				return
			}
			head, text, ok := strings.Cut(string(m), " - {")
			fields := strings.Fields(head)
			if !ok || len(fields) != 6 || fields[0] != "<110>1" || fields[3] != "outbound" || fields[5] != "recipient.update" {
				t.Errorf("message %q", m)
			}
			got.add("{" + text)
		}
	})
	o := audits.DefaultOptions()
	o.Syslog.Address, o.Syslog.Network = l.Addr().String(), "tcp"
	appendEntries(t, conn, 20)
	stop := run(t, conn, o, notice.NewBoard(slog.New(slog.DiscardHandler)))
	waittest.Until(t, "20 messages", func() bool { return len(got.numbers()) == 20 })
	stop()
	serving.Wait()
	if !inOrder(got.numbers(), 20) {
		t.Errorf("got %v", got.numbers())
	}
}

func TestOptionsThatCannotWorkAreNamed(t *testing.T) {
	o := audits.Options{Syslog: audits.SyslogOptions{Address: "x", Network: "unix", Facility: 24},
		Webhook: audits.WebhookOptions{URL: "ftp://x"}}
	err := o.Validate()
	for _, want := range []string{"syslog.address", "syslog.network", "syslog.facility", "webhook.url"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named: %v", want, err)
		}
	}
	if err := audits.DefaultOptions().Validate(); err != nil {
		t.Error(err)
	}
}
