package browser

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// Browser is a running Chromium.
type Browser struct{ ctx context.Context }

// Start starts Chromium, without a window and with a profile of its own, for as long as the test lasts.
func Start(t harness.T) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("look for chromium: %v; on Debian: apt-get install chromium", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-lcd-text", true), chromedp.Flag("lang", "en-GB"),
		chromedp.WSURLReadTimeout(waittest.Limit))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	ctx, quit := chromedp.NewContext(allocator)
	t.Cleanup(quit)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return &Browser{ctx: ctx}
}

// Person is somebody at a browser: cookies of their own, and as many pages as they like.
type Person struct {
	base string
	ctx  context.Context
}

// Person comes to a site, e.g. http://127.0.0.1:8080, not signed in.
func (b *Browser) Person(t harness.T, base string) *Person {
	t.Helper()
	ctx, leave := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(leave)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a browser window: %v", err)
	}
	return &Person{base: base, ctx: ctx}
}

// Page is one page in a tab of its own.
type Page struct {
	t    harness.T
	base string
	ctx  context.Context

	mu      sync.Mutex
	faults  []string
	allowed []string
}

// Wide and Narrow are the widths that pages are looked at, in pixels.
const (
	Wide   = 1440
	Narrow = 375
	height = 900
)

// Page opens a tab. At the end of the test it must have been without fault.
func (w *Person) Page(t harness.T) *Page {
	t.Helper()
	p := &Page{t: t, base: w.base}
	ctx, shut := chromedp.NewContext(w.ctx)
	p.ctx = ctx
	t.Cleanup(func() {
		for _, fault := range p.Faults() {
			t.Errorf("the browser complained: %s", fault)
		}
		shut()
	})
	begin := chromedp.Func(func(ctx context.Context, to *chromedp.Target) error {
		_, err := cdp.Call(ctx, to, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: eyes})
		return err
	})
	// The first run on a tab binds its life to its context, so it has no bound of its own.
	if err := chromedp.Do(ctx, begin); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatalf("listen to a tab: %v", err)
	}
	p.Look(Wide, Light)
	return p
}

// Scheme is what a person prefers: light or dark.
type Scheme string

// The schemes.
const (
	Light Scheme = "light"
	Dark  Scheme = "dark"
)

// Look sets the width of the window and the colours that the person prefers.
func (p *Page) Look(width int64, scheme Scheme) *Page {
	p.t.Helper()
	p.do("set the window", func(ctx context.Context, to *chromedp.Target) error {
		_, err := cdp.Call(ctx, to, emulation.SetDeviceMetricsOverride,
			emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
		if err != nil {
			return err
		}
		// Each page believes that it has the focus, as the one that somebody looks at does: pages of other stories are open as well.
		if _, err = cdp.Call(ctx, to, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
			return err
		}
		_, err = cdp.Call(ctx, to, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: string(scheme)}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	})
	return p
}

// Zone sets the time zone of the person's machine, e.g. `Asia/Kolkata`.
func (p *Page) Zone(name string) *Page {
	p.t.Helper()
	p.do("set the time zone", func(ctx context.Context, to *chromedp.Target) error {
		_, err := cdp.Call(ctx, to, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: name})
		return err
	})
	return p
}

// listen notes what no page may do. It is called from the loop that reads the browser's messages.
func (p *Page) listen(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		p.fault("a script threw: " + text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			p.fault(fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *page.EventJavascriptDialogOpening:
		p.fault("a script opened a dialog: " + e.Message)
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, p.base+"/") && !strings.HasPrefix(u, "data:image/svg+xml") && u != "about:blank" {
			p.fault("asked another host: " + u)
		}
	}
}

func (p *Page) fault(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, text)
}

// Allow expects a complaint, whenever it comes: Chromium complains of each answer that is no success, which is right for a form
// with a fault.
func (p *Page) Allow(text string) *Page {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed = append(p.allowed, text)
	return p
}

// TrustAll has the page take any certificate, as one of a test's own proxy.
func (p *Page) TrustAll() *Page {
	p.t.Helper()
	p.do("trust all certificates", func(ctx context.Context, to *chromedp.Target) error {
		_, err := cdp.Call(ctx, to, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true})
		return err
	})
	return p
}

// Forgive forgets what the browser has complained of.
func (p *Page) Forgive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = nil
}

// Faults are what the browser has complained of so far.
func (p *Page) Faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	expected := func(text string) bool {
		return slices.ContainsFunc(p.allowed, func(allowed string) bool { return strings.Contains(text, allowed) })
	}
	return slices.DeleteFunc(slices.Clone(p.faults), expected)
}

// do runs an action.
func (p *Page) do(what string, f func(context.Context, *chromedp.Target) error) {
	p.t.Helper()
	ctx, cancel := waittest.Context(p.ctx)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Func(f)); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}
