// Screenshots takes the pictures of the console in docs/images: `make screenshots`. It plays the demo's story, adds what goes wrong
// in a real installation, and looks at each page as an admin does.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/outbound-events/outbound/e2e/browser"
	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// mostBytes is how large a picture may be: they are kept in the repository.
const mostBytes = 150_000

// tallest is how much of a page a picture shows, in pixels: a window's height.
const tallest = 900

// picture is one page and how it is looked at.
type picture struct {
	name, path string
	width      int64
	scheme     browser.Scheme
	// before is done on the page first.
	before func(*browser.Page)
	// tall is its height in pixels, if that is not a window's.
	tall int
}

func pictures() []picture {
	drawer := func(p *browser.Page) {
		p.Click("#rows tr:has(a[href*='/recipients/billing']) a[data-drawer]", "").See("#drawer", "Response")
	}
	preview := func(p *browser.Page) { p.See("#preview-result", "match") }
	const wide, narrow, light, dark = 1280, browser.Narrow, browser.Light, browser.Dark
	return []picture{
		{"recipients", "/?range=1h", wide, light, nil, 0}, {"recipients-dark", "/?range=1h", wide, dark, nil, 0},
		{"recipients-narrow", "/", narrow, light, nil, 0}, {"plots-narrow", "/recipients/crm?range=1h", narrow, dark, nil, 0},
		{"http-recipient", "/recipients/ticket-desk", wide, light, preview, 1500},
		{"email-recipient", "/recipients/service-desk", wide, light, preview, 1500},
		{"deliveries", "/deliveries", wide, light, nil, 0}, {"deliveries-narrow", "/deliveries", narrow, dark, nil, 0},
		{"delivery", "/deliveries", wide, light, drawer, 0}, {"events", "/events", wide, light, nil, 0},
		{"event", "/events/support-1~e-6", wide, light, nil, 0}, {"rejected", "/rejected", wide, light, nil, 0},
		{"replays", "/replays", wide, light, nil, 0},
		{"relay", "/settings/relay", wide, light, nil, 0}, {"fields", "/settings/fields", wide, light, nil, 0},
		{"types", "/settings/types", wide, light, nil, 0},
		{"appliances", "/settings/appliances", wide, light, nil, 0}, {"users", "/settings/users", wide, light, nil, 0},
		{"tokens", "/settings/tokens", wide, light, nil, 0},
		{"changes", "/settings/changes", wide, light, nil, 0}, {"health", "/health?range=1h", wide, light, nil, 0},
		{"health-dark", "/health?range=1h", wide, dark, nil, 0},
	}
}

func main() {
	out := flag.String("out", filepath.Join("docs", "images"), "folder for the pictures")
	flag.Parse()
	s := &shots{out: *out}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.cleanup()
		s.take()
	}()
	<-done
	if s.failed {
		os.Exit(1)
	}
}

// take takes all pictures.
func (s *shots) take() {
	if err := harness.Prepare("outbound", "demo"); err != nil {
		s.Fatalf("%v", err)
	}
	b := browser.Start(s)
	s.firstVisit(b)
	page := s.demo(b)
	for _, p := range pictures() {
		page.Look(p.width, p.scheme).Open(p.path)
		if p.before != nil {
			p.before(page)
		}
		s.keepTall(p.name, page, cmp.Or(p.tall, tallest))
	}
}

// firstVisit is what somebody sees of a fresh installation.
func (s *shots) firstVisit(b *browser.Browser) {
	h := harness.Start(s, harness.AllInOne)
	page := b.Person(s, h.REST.Base).Page(s).Look(1280, browser.Light)
	page.Open(s.link(h.Logs))
	s.keep("setup", page)
	s.firstAdmin(page)
	page.See("h2", "Get started")
	s.keep("first-visit", page)
}

var setupLink = regexp.MustCompile(`http://\S+?(/setup\?code=\S+)`)

// link waits until a process has written the link by which the first admin is made, and returns its path.
func (s *shots) link(written func() string) string {
	var link []string
	waittest.NoError(s, "the link to make the first admin", func() error {
		if link = setupLink.FindStringSubmatch(written()); link == nil {
			return fmt.Errorf("it is not written")
		}
		return nil
	})
	return link[1]
}

// firstAdmin fills in the form behind the link.
func (s *shots) firstAdmin(page *browser.Page) {
	const password = "correct horse battery"
	page.Fill("Name", "ada").Fill("Display name", "Ada Lovelace").Fill("Password", password).Fill("Confirm password", password).
		Click("button", "Create administrator").AwaitAt("/").See("summary", "Ada Lovelace")
}

// demo plays the demo's first round, adds what goes wrong, and signs in.
func (s *shots) demo(b *browser.Browser) *browser.Page {
	log := filepath.Join(s.TempDir(), "demo.log")
	p, err := harness.Launch(harness.Command{Name: "demo", Path: harness.Binary("demo"), Args: []string{"--every", "1h"}, Log: log})
	if err != nil {
		s.Fatalf("%v", err)
	}
	s.Cleanup(p.Kill)
	s.Cleanup(func() { _, _ = p.Stop() }) // so that it takes its data away
	link := s.link(p.Output)
	base := regexp.MustCompile(`console\s+(http://\S+?)/\s`).FindStringSubmatch(p.Output())
	token := regexp.MustCompile(`cat (\S+/admin\.token)`).FindStringSubmatch(p.Output())
	if base == nil || token == nil {
		s.Fatalf("the demo does not say where it is:\n%s", p.Tail(20))
	}
	secret, err := os.ReadFile(token[1])
	if err != nil {
		s.Fatalf("read the demo's token: %v", err)
	}
	page := b.Person(s, base[1]).Page(s).Look(1280, browser.Light).Open(link)
	s.firstAdmin(page)
	s.trouble(harness.NewClient(base[1], strings.TrimSpace(string(secret))))
	waittest.NoError(s, "the header to tell of it", func() error {
		if text := page.Open("/").Stable().Text("document.querySelector('.status-indicator').innerText"); !strings.Contains(text, "failing") {
			return fmt.Errorf("it says %q", text)
		}
		return nil
	})
	return page
}

// trouble adds what goes wrong in a real installation: a receiver that is not there, an event that is refused, one that is sent again.
func (s *shots) trouble(c *harness.Client) {
	defer c.Close()
	c.Do(s, "POST", "/v1/recipients", harness.Object{
		"id": "billing", "displayName": "Billing", "eventTypes": []string{"support_conference_end"},
		"http": harness.Object{"url": "https://127.0.0.1:9/support", "retryInterval": "600s",
			"contact": harness.Object{"addresses": []string{"team-lead@example.com"}}},
	})
	c.Do(s, "POST", "/v1/recipients", harness.Object{
		"id": "archive", "displayName": "Archive", "enabled": false, "eventTypes": []string{"support_conference_end"},
		"http": harness.Object{"url": "https://127.0.0.1:9/archive"},
	})
	c.Do(s, "POST", "/v1/recipients/billing:test", harness.Object{})
	for name, role := range map[string]string{"olga": "OPERATOR", "victor": "VIEWER"} {
		c.Do(s, "POST", "/v1/users", harness.Object{"name": name, "role": role, "password": "correct horse battery"})
	}
	c.Do(s, "POST", "/v1/tokens", harness.Object{"displayName": "Backup script", "role": "VIEWER"})
	c.Refused(s, "POST", "/v1/events", []byte(`{"specversion":"1.0","id":"e-400","source":"support-1","type":"support_conference_ended","time":"yesterday","data":{}}`))
	c.Do(s, "POST", "/v1/deliveries:retry", harness.Object{"deliveries": []harness.Object{{"recipientId": "crm", "eventId": "support-1~e-6"}}})
	waittest.NoError(s, "Billing to fail", func() error {
		if n := c.States(s, "billing")["RETRYING"]; n != 1 {
			return fmt.Errorf("%d deliveries are retrying", n)
		}
		return nil
	})
}

// keep writes a picture of a window's height.
func (s *shots) keep(name string, page *browser.Page) { s.keepTall(name, page, tallest) }

func (s *shots) keepTall(name string, page *browser.Page, tall int) {
	file := filepath.Join(s.out, "console-"+name+".png")
	shot := page.Stable().Picture(tall)
	if len(shot) > mostBytes {
		s.Errorf("%s has %d bytes: more than %d", file, len(shot), mostBytes)
	}
	if err := os.WriteFile(file, shot, 0o644); err != nil { //nolint:gosec // a picture for everybody
		s.Fatalf("write %s: %v", file, err)
	}
	fmt.Printf("%s (%d bytes)\n", file, len(shot))
}

// shots is what the harness takes for a test.
type shots struct {
	out    string
	failed bool
	undo   []func()
}

// Helper does nothing.
func (s *shots) Helper() {}

// Name is the command's.
func (s *shots) Name() string { return "screenshots" }

// Logf tells how it goes.
func (s *shots) Logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "screenshots: "+format+"\n", args...)
}

// Errorf notes a failure.
func (s *shots) Errorf(format string, args ...any) {
	s.failed = true
	s.Logf(format, args...)
}

// Fatalf ends the command.
func (s *shots) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

// Failed reports whether something failed.
func (s *shots) Failed() bool { return s.failed }

// Cleanup runs f at the end, the last first.
func (s *shots) Cleanup(f func()) { s.undo = append(s.undo, f) }

func (s *shots) cleanup() {
	for i := len(s.undo) - 1; i >= 0; i-- {
		s.undo[i]()
	}
}

// TempDir is a new folder, taken away at the end.
func (s *shots) TempDir() string {
	dir, err := os.MkdirTemp("", "outbound-screenshots-")
	if err != nil {
		s.Fatalf("make a folder: %v", err)
	}
	s.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
