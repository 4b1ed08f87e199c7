package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

const (
	// consoleRecipients is how many recipients the console has to show.
	consoleRecipients = 1000
	// consoleRounds is how often each page is asked for; the first warms up.
	consoleRounds = 41
	// consoleReach is how long a page may take.
	consoleReach = 200 * time.Millisecond
)

// console measures how long the server takes for a page, to its last byte, with many recipients and nothing else going on.
func (b *bench) console() []row {
	s := newSite(b)
	h := harness.StartWith(b, &harness.System{Shape: harness.AllInOne, Dir: b.TempDir(), Sync: "always"})
	b.recipients(h, consoleRecipients, func(i int) harness.Object {
		return harness.Object{
			"id": fmt.Sprintf("r-%04d", i), "displayName": fmt.Sprintf("Number %04d", i), "eventTypes": []string{"support_conference_end"},
			"http": harness.Object{"url": s.url(i)},
		}
	})
	b.Logf("%d recipients are there", consoleRecipients)
	cookie := b.signIn(h)
	var rows []row
	for _, page := range []struct{ path, shows string }{
		{"/", "Number 0099"}, {"/?page=10", "Number 0999"}, {"/?q=number+05", "Number 0599"}, {"/recipients/r-0500", "Number 0500"},
		{"/deliveries", "Number 0999"}, {"/health", "Streams"},
	} {
		var took []time.Duration
		for round := range consoleRounds {
			if d := b.page(h, cookie, page.path, page.shows); round > 0 {
				took = append(took, d)
			}
		}
		slices.Sort(took)
		rows = append(rows, row{
			fmt.Sprintf("console, %d recipients: %s", consoleRecipients, page.path),
			fmt.Sprintf("p50 %s, p99 %s", ms(took, 50), ms(took, 99)), "", "",
			fmt.Sprintf("≤ %d ms", consoleReach.Milliseconds()),
		})
	}
	return rows
}

// recipients makes n recipients, several at once.
func (b *bench) recipients(h *harness.System, n int, number func(i int) harness.Object) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 16 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				h.AddRecipient(b, number(i))
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.Fatalf("make %d recipients: see above", n)
	}
}

// signIn signs in with the admin token as a browser does.
func (b *bench) signIn(h *harness.System) *http.Cookie {
	form := strings.NewReader(url.Values{"token": {h.REST.Token}}.Encode())
	r := b.visit(http.MethodPost, h.REST.Base+"/sign-in/token", form, nil)
	defer func() { _ = r.Body.Close() }()
	for _, c := range r.Cookies() {
		if c.Name == "__Host-outbound" && c.Value != "" {
			return c
		}
	}
	b.Fatalf("sign in: %s, and no cookie", r.Status)
	return nil
}

// page asks for a page and returns how long it took, to its last byte. It must show what it is asked for.
func (b *bench) page(h *harness.System, cookie *http.Cookie, path, shows string) time.Duration {
	began := time.Now()
	r := b.visit(http.MethodGet, h.REST.Base+path, nil, cookie)
	body, err := io.ReadAll(r.Body)
	took := time.Since(began)
	_ = r.Body.Close()
	if err != nil || r.StatusCode != http.StatusOK || !strings.Contains(string(body), shows) {
		b.Fatalf("get %s: %v %s, and it shows no %q", path, err, r.Status, shows)
	}
	return took
}

// visit makes one request as a browser does, without following where it leads.
func (b *bench) visit(method, address string, body io.Reader, cookie *http.Cookie) *http.Response {
	q, err := http.NewRequestWithContext(context.Background(), method, address, body)
	if err != nil {
		b.Fatalf("make %s %s: %v", method, address, err)
	}
	q.Header.Set("Accept", "text/html")
	q.Header.Set("Sec-Fetch-Site", "same-origin")
	if body != nil {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if cookie != nil {
		q.AddCookie(cookie)
	}
	r, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		b.Fatalf("%s %s: %v", method, address, err)
	}
	return r
}
