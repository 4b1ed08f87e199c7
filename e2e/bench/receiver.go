package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// counter is the receiver's side: it answers 200 and counts.
type counter struct {
	mu      sync.Mutex
	counts  map[string]int
	arrived map[string]int64
	record  bool
	total   int
	last    int64
	changed chan struct{}
	// seen holds what has come to each path, if repeats are to be told, as they are while it is not nil.
	seen    map[string]struct{}
	repeats int
	// down says that all is refused, with 503; refused counts that.
	down    bool
	refused int
}

// receiver is the child process: it prints its address and serves until its standard input ends.
func receiver() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench receiver:", err)
		return 1
	}
	c := &counter{counts: map[string]int{}, arrived: map[string]int64{}, changed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /r/{name}", c.receive)
	mux.HandleFunc("POST /hang", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	mux.HandleFunc("POST /-/reset", c.reset)
	mux.HandleFunc("POST /-/down", func(_ http.ResponseWriter, r *http.Request) { c.close(r.FormValue("on") != "") })
	mux.HandleFunc("GET /-/wait", c.wait)
	mux.HandleFunc("GET /-/state", c.state)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = s.Close()
	}()
	fmt.Println(l.Addr())
	_ = s.Serve(l)
	return 0
}

func (c *counter) receive(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.URL.RawQuery != "" {
		// A receiver that thinks before it answers.
		if d, err := time.ParseDuration(r.URL.Query().Get("think")); err == nil {
			time.Sleep(d)
		}
	}
	if !c.count(r.PathValue("name"), r.Header.Get("webhook-id")) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// count enters one request and reports whether it is taken.
func (c *counter) count(name, id string) bool {
	now := time.Now().UnixNano()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		c.refused++
		return false
	}
	c.total++
	c.last = now
	c.counts[name]++
	if c.record {
		c.arrived[id] = now
	}
	if c.seen != nil {
		key := name + " " + id
		if _, ok := c.seen[key]; ok {
			c.repeats++
		}
		c.seen[key] = struct{}{}
	}
	close(c.changed)
	c.changed = make(chan struct{})
	return true
}

// close refuses all that comes from now on, or takes it again.
func (c *counter) close(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

func (c *counter) reset(_ http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts, c.arrived, c.total, c.last = map[string]int{}, map[string]int64{}, 0, 0
	c.seen, c.repeats, c.refused = nil, 0, 0
	c.record = r.FormValue("record") != ""
	if r.FormValue("seen") != "" {
		c.seen = map[string]struct{}{}
	}
}

// wait answers once n requests have come, or after a while with what there is.
func (c *counter) wait(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.FormValue("n"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	deadline := time.After(30 * time.Second)
	for {
		c.mu.Lock()
		total, changed := c.total, c.changed
		c.mu.Unlock()
		if total >= n {
			break
		}
		select {
		case <-changed:
			continue
		case <-deadline:
		}
		break
	}
	c.state(w, r)
}

// state is what the receiver knows.
type state struct {
	Total   int
	Last    int64
	Repeats int
	Refused int
	Counts  map[string]int
	Arrived map[string]int64
}

func (c *counter) state(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = json.NewEncoder(w).Encode(state{Total: c.total, Last: c.last, Repeats: c.repeats, Refused: c.refused, Counts: c.counts,
		Arrived: c.arrived})
}

// site is the bench's side of the receiver.
type site struct {
	b    *bench
	base string
}

// newSite starts the receiver as a process of its own.
func newSite(b *bench) *site {
	cmd := exec.CommandContext(context.Background(), os.Args[0], "-receiver") //nolint:gosec // ourselves
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatalf("start the receiver: %v", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatalf("start the receiver: %v", err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatalf("start the receiver: %v", err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatalf("read the receiver's address: %v", err)
	}
	return &site{b: b, base: "http://" + strings.TrimSpace(address)}
}

func (s *site) url(i int) string { return fmt.Sprintf("%s/r/%d", s.base, i) }

func (s *site) reset(record bool) {
	path := "/-/reset"
	if record {
		path += "?record=1"
	}
	s.ask(http.MethodPost, path, nil)
}

// watch resets the receiver and has it tell repeats.
func (s *site) watch() { s.ask(http.MethodPost, "/-/reset?seen=1", nil) }

// shut makes the receiver refuse everything with 503, or take it again.
func (s *site) shut(down bool) {
	path := "/-/down"
	if down {
		path += "?on=1"
	}
	s.ask(http.MethodPost, path, nil)
}

// state is what the receiver knows now.
func (s *site) state() state {
	var st state
	s.ask(http.MethodGet, "/-/state", &st)
	return st
}

// await waits until n requests have come and checks that it is no more than n.
func (s *site) await(n int, within time.Duration) state {
	var st state
	harness.Until(s.b, within, fmt.Sprint(n, " requests"), func() error {
		s.ask(http.MethodGet, fmt.Sprint("/-/wait?n=", n), &st)
		if st.Total < n {
			return fmt.Errorf("%d have come", st.Total)
		}
		return nil
	})
	if st.Total > n {
		s.b.Errorf("%d requests have come, want %d", st.Total, n)
	}
	return st
}

func (s *site) ask(method, path string, into any) {
	q, err := http.NewRequestWithContext(context.Background(), method, s.base+path, nil)
	if err != nil {
		s.b.Fatalf("ask the receiver: %v", err)
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		s.b.Fatalf("ask the receiver: %v", err)
	}
	defer func() { _ = r.Body.Close() }()
	if into == nil {
		return
	}
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		s.b.Fatalf("read the receiver's answer: %v", err)
	}
}
