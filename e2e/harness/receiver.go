package harness

import (
	"context"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"time"
)

// Receiver is a site with many recipients, one a path, that all write into one ledger.
type Receiver struct {
	*Ledger
	plain, secure *httptest.Server

	mu      sync.Mutex
	scripts map[string]Script
	says    map[string]string
	holds   map[string]chan struct{}
	thinks  map[string]time.Duration
}

// Script says what a recipient answers: the n-th try of each event gets the n-th status, and the last one for ever after.
type Script []int

// NewReceiver starts a receiver, on HTTP and on HTTPS, for as long as the test lasts.
func NewReceiver(t T) *Receiver {
	r := &Receiver{Ledger: NewLedger(), scripts: map[string]Script{}, says: map[string]string{}, holds: map[string]chan struct{}{},
		thinks: map[string]time.Duration{}}
	r.plain = plainServer(t, r)
	r.secure = httptest.NewTLSServer(r)
	t.Cleanup(func() {
		r.mu.Lock()
		for name, gate := range r.holds {
			close(gate)
			delete(r.holds, name)
		}
		r.mu.Unlock()
		r.plain.Close()
		r.secure.Close()
	})
	return r
}

// plainServer listens where containers reach it, if HostVariable says so, else on loopback.
func plainServer(t T, h http.Handler) *httptest.Server {
	host := os.Getenv(HostVariable)
	if host == "" {
		return httptest.NewServer(h)
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatalf("listen for containers: %v", err)
	}
	s := httptest.NewUnstartedServer(h)
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	return s
}

// URL is where a recipient is reached.
func (r *Receiver) URL(recipient string) string { return r.plain.URL + "/" + recipient }

// SecureURL is where a recipient is reached over HTTPS; see CAPEM.
func (r *Receiver) SecureURL(recipient string) string { return r.secure.URL + "/" + recipient }

// CAPEM is the root certificate that SecureURL is verified with.
func (r *Receiver) CAPEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.secure.Certificate().Raw}))
}

// Answer sets a recipient's script. Without one it always answers 200.
func (r *Receiver) Answer(recipient string, script ...int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scripts[recipient] = script
}

// Say sets what a recipient writes into the body of each of its answers.
func (r *Receiver) Say(recipient, body string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.says[recipient] = body
}

// Think has a recipient take that long for each of its answers.
func (r *Receiver) Think(recipient string, long time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.thinks[recipient] = long
}

// Held is the status of a receipt that was not answered but held; once released it is answered 503.
const Held = 0

// Hold makes a recipient hang until the function returned is called.
func (r *Receiver) Hold(recipient string) (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gate := make(chan struct{})
	r.holds[recipient] = gate
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.holds[recipient] == gate {
			close(gate)
			delete(r.holds, recipient)
		}
	}
}

// ServeHTTP writes the request into the ledger, then answers as the script says.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // cut by the sender: nothing was received
	}
	name := strings.TrimPrefix(req.URL.Path, "/")
	r.mu.Lock()
	script, says, gate, thinks := r.scripts[name], r.says[name], r.holds[name], r.thinks[name]
	r.mu.Unlock()
	if gate != nil {
		script = Script{Held}
	}
	got := r.add(Receipt{Recipient: name, ID: req.Header.Get("webhook-id"), Time: time.Now(), Header: req.Header, Body: body}, script.status)
	if gate != nil {
		select {
		case <-gate:
		case <-req.Context().Done():
		}
		got.Status = http.StatusServiceUnavailable
	}
	time.Sleep(thinks)
	w.WriteHeader(got.Status)
	_, _ = io.WriteString(w, says)
}

// status is the answer to a try, counted from 1.
func (s Script) status(try int) int {
	if len(s) == 0 {
		return http.StatusOK
	}
	return s[min(try, len(s))-1]
}
