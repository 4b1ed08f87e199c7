package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// eyes are the functions by which pages are read: how to find a control by its label, a button by its words.
//
//go:embed eyes.js
var eyes string

// moment is how many milliseconds a page waits by itself for what is awaited. A page that is left meanwhile says so at once.
const moment = 2000

// look is when a question to a page is given up, to be asked again: one that was being left may never answer.
const look = time.Minute

// asked is when a page that was clicked is taken to be left.
const asked = 2 * time.Second

// read evaluates an expression of the page. A page that is being left answers with an error, which callers take as not yet.
func read[R any](p *Page, expression string) (R, error) { return readWithin[R](p, look, expression) }

func readWithin[R any](p *Page, within time.Duration, expression string) (R, error) {
	ctx, cancel := context.WithTimeout(p.ctx, within)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[R](expression, chromedp.EvalAwaitPromise))
}

// call makes an expression of a function of eyes and its arguments.
func call(function string, args ...any) string {
	words := make([]string, len(args))
	for i, a := range args {
		b, _ := json.Marshal(a) // texts and numbers can always be written
		words[i] = string(b)
	}
	return "eyes." + function + "(" + strings.Join(words, ", ") + ")"
}

// Open goes to an address of the site.
func (p *Page) Open(path string) *Page {
	p.t.Helper()
	// A page that a click before asked for, and that arrives only now, takes the place of this one: then it is opened again.
	p.until("the page "+path+" to open", func() error {
		ctx, cancel := waittest.Context(p.ctx)
		defer cancel()
		err := chromedp.Do(ctx, chromedp.Navigate(p.base+path))
		if err != nil && !strings.Contains(err.Error(), "net::ERR_ABORTED") {
			p.t.Fatalf("open %s: %v", path, err)
		}
		return err
	})
	p.until("the page "+path+" to be there", func() error { return p.holds("document.readyState === 'complete'") })
	return p
}

// At is the address of the page, without the host.
func (p *Page) At() string {
	p.t.Helper()
	at, err := read[string](p, "location.pathname + location.search")
	if err != nil {
		p.t.Fatalf("read the address: %v", err)
	}
	return at
}

// AwaitAt waits until the page is at an address.
func (p *Page) AwaitAt(path string) *Page {
	p.t.Helper()
	p.until("the page to be at "+path, func() error {
		at, err := read[string](p, "location.pathname + location.search")
		if err == nil && at != path {
			err = fmt.Errorf("it is at %s", at)
		}
		if err == nil {
			err = p.holds("document.readyState === 'complete'")
		}
		return err
	})
	return p
}

// until waits for the page; what it shows is told if it does not come.
func (p *Page) until(what string, fact func() error) {
	p.t.Helper()
	var last error
	waittest.NoError(p.witness(), what, func() error {
		last = fact()
		return last
	})
}

// witness is the test, telling what the page shows when it ends.
func (p *Page) witness() harness.T { return witness{p.t, p} }

type witness struct {
	harness.T
	page *Page
}

// Fatalf ends the test with what the page shows.
func (w witness) Fatalf(format string, args ...any) {
	w.Helper()
	shown, err := read[string](w.page, "location.pathname + location.search + '\\n' + document.body.innerText.slice(0, 3000)")
	if err != nil {
		shown = err.Error()
	}
	w.T.Fatalf(format+"\nthe page shows: %s\nthe browser complained of %q", append(args, shown, w.page.Faults())...)
}

// errNotYet says that what is awaited is not there.
var errNotYet = errors.New("it does not show it")

// holds is nil if an expression of the page is true.
func (p *Page) holds(expression string) error { return p.becomes(expression, 0) }

// becomes is nil if an expression of the page gets true in so many milliseconds; the page itself looks again and again.
func (p *Page) becomes(expression string, milliseconds int) error {
	yes, err := read[bool](p, fmt.Sprintf("eyes.becomes(() => %s, %d)", expression, milliseconds))
	if err == nil && !yes {
		err = errNotYet
	}
	return err
}

// Await waits until an expression of the page is true.
func (p *Page) Await(what, expression string) *Page {
	p.t.Helper()
	p.until(what, func() error { return p.becomes(expression, moment) })
	return p
}

// See waits until a part of the page, named by a CSS selector, shows a text to its reader.
func (p *Page) See(selector, text string) *Page {
	p.t.Helper()
	return p.Await(fmt.Sprintf("%s to show %q", selector, text), call("shows", selector, text))
}

// SeeNot waits until no part of the page that a CSS selector names shows a text.
func (p *Page) SeeNot(selector, text string) *Page {
	p.t.Helper()
	return p.Await(fmt.Sprintf("%s not to show %q", selector, text), "!"+call("shows", selector, text))
}

// Stable waits until nothing that the page has asked for is on its way, streams aside.
func (p *Page) Stable() *Page {
	p.t.Helper()
	return p.Await("the page to settle", "!document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling, .htmx-added') && "+
		"!eyes.shows('.status-indicator', 'Status')")
}

// Is checks that an expression of the page is true now.
func (p *Page) Is(what, expression string) *Page {
	p.t.Helper()
	if err := p.holds(expression); err != nil {
		p.witness().Fatalf("%s: %v", what, err)
	}
	return p
}

// Count is how many elements a CSS selector finds.
func (p *Page) Count(selector string) int {
	p.t.Helper()
	return p.Number(call("count", selector))
}

// Number is an expression's value.
func (p *Page) Number(expression string) int {
	p.t.Helper()
	n, err := read[int](p, expression)
	if err != nil {
		p.t.Fatalf("read %s: %v", expression, err)
	}
	return n
}

// Text is an expression's value.
func (p *Page) Text(expression string) string {
	p.t.Helper()
	s, err := read[string](p, expression)
	if err != nil {
		p.t.Fatalf("read %s: %v", expression, err)
	}
	return s
}

// Do evaluates an expression for its effect.
func (p *Page) Do(expression string) *Page {
	p.t.Helper()
	if _, err := read[chromedp.Void](p, expression); err != nil {
		p.t.Fatalf("do %s: %v", expression, err)
	}
	return p
}

// Click clicks what has words and is found by a CSS selector, e.g. "button" "Save", once it is there and nothing covers it.
func (p *Page) Click(selector, words string) *Page {
	p.t.Helper()
	return p.click(fmt.Sprintf("a %s %q to click", selector, words), call("target", selector, words))
}

// ClickLabel clicks the control that has a label.
func (p *Page) ClickLabel(label string) *Page {
	p.t.Helper()
	return p.click(fmt.Sprintf("a control %q to click", label), call("labelled", label))
}

type point struct{ X, Y float64 }

// click clicks an element where it is, and again if the page moved meanwhile and something else was pressed. If that has opened a dialog,
// it is closed as a person closes it.
func (p *Page) click(what, element string) *Page {
	p.t.Helper()
	for wrong := false; ; wrong = true {
		var at point
		p.until(what, func() (err error) {
			at, err = read[point](p, "eyes.point(() => "+element+")")
			if wrong && err != nil && strings.Contains(err.Error(), "covered by <dialog") {
				p.Press(kb.Escape)
			}
			return err
		})
		p.do("click", func(ctx context.Context, to *chromedp.Target) error {
			_, err := chromedp.MouseClickXY(at.X, at.Y)(ctx, to)
			return err
		})
		// A page that is being left may not answer: something was pressed that led to another.
		if pressed, err := readWithin[string](p, asked, "String(sessionStorage.getItem('pressed'))"); err != nil || pressed != "another" {
			return p
		}
	}
}

// Fill types a text into the field that has a label, in place of what is in it.
func (p *Page) Fill(label, text string) *Page {
	p.t.Helper()
	p.Await(fmt.Sprintf("a field %q", label), call("focus", label))
	p.Type(text)
	return p.Await(fmt.Sprintf("the field %q to hold %q", label, text), call("holds", label, text))
}

// Type types a text where the focus is.
func (p *Page) Type(text string) *Page {
	p.t.Helper()
	p.do("type", func(ctx context.Context, to *chromedp.Target) error {
		_, err := cdp.Call(ctx, to, input.InsertText, input.InsertTextParams{Text: text})
		return err
	})
	return p
}

// Press presses keys of chromedp's kb, e.g. kb.Tab.
func (p *Page) Press(keys string) *Page {
	p.t.Helper()
	p.do("press a key", func(ctx context.Context, to *chromedp.Target) error {
		_, err := chromedp.KeyEvent(keys)(ctx, to)
		return err
	})
	return p
}

// Choose picks an option of the list that has a label, by the option's words.
func (p *Page) Choose(label, option string) *Page {
	p.t.Helper()
	return p.Await(fmt.Sprintf("a list %q with %q", label, option), call("choose", label, option))
}

// Upload picks a file in the field that has a label.
func (p *Page) Upload(label, file string) *Page {
	p.t.Helper()
	p.Await(fmt.Sprintf("a field %q for files", label), call("labelled", label)+"?.type === 'file'")
	p.do("upload", func(ctx context.Context, to *chromedp.Target) error {
		found, err := cdp.Call(ctx, to, runtime.Evaluate, runtime.EvaluateParams{Expression: call("labelled", label)})
		if err != nil {
			return err
		}
		_, err = cdp.Call(ctx, to, dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: []string{file}, ObjectID: found.Result.ObjectID})
		return err
	})
	return p
}
