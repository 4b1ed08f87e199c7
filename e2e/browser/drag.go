package browser

import (
	"context"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// Hover moves the mouse over what a CSS selector finds, once it is there and nothing covers it.
func (p *Page) Hover(selector string) *Page {
	p.t.Helper()
	at := p.spot(selector)
	p.mouse(input.DispatchMouseEventParams{Type: chromedp.MouseMoved, X: at.X, Y: at.Y})
	return p
}

// Drag presses the mouse over what a CSS selector finds, moves it to what another one finds, and releases it there.
func (p *Page) Drag(from, to string) *Page {
	p.t.Helper()
	a, b := p.spot(from), p.spot(to)
	p.mouse(
		input.DispatchMouseEventParams{Type: chromedp.MouseMoved, X: a.X, Y: a.Y},
		input.DispatchMouseEventParams{Type: chromedp.MousePressed, X: a.X, Y: a.Y, Button: input.MouseButtonLeft, ClickCount: 1},
		input.DispatchMouseEventParams{Type: chromedp.MouseMoved, X: (a.X + b.X) / 2, Y: b.Y, Button: input.MouseButtonLeft},
		input.DispatchMouseEventParams{Type: chromedp.MouseMoved, X: b.X, Y: b.Y, Button: input.MouseButtonLeft},
		input.DispatchMouseEventParams{Type: chromedp.MouseReleased, X: b.X, Y: b.Y, Button: input.MouseButtonLeft, ClickCount: 1},
	)
	return p
}

// Hold presses the mouse over what a CSS selector finds, and holds it until the function is called that it returns. It presses again if the
// page moved meanwhile and something else was pressed.
func (p *Page) Hold(selector string) (release func() *Page) {
	p.t.Helper()
	for {
		at := p.spot(selector)
		p.mouse(
			input.DispatchMouseEventParams{Type: chromedp.MouseMoved, X: at.X, Y: at.Y},
			input.DispatchMouseEventParams{Type: chromedp.MousePressed, X: at.X, Y: at.Y, Button: input.MouseButtonLeft, ClickCount: 1},
		)
		release = func() *Page {
			p.mouse(input.DispatchMouseEventParams{
				Type: chromedp.MouseReleased, X: at.X, Y: at.Y, Button: input.MouseButtonLeft, ClickCount: 1,
			})
			return p
		}
		if p.Text("String(sessionStorage.getItem('pressed'))") == "it" {
			return release
		}
		release()
	}
}

// spot is where an element is that nothing covers.
func (p *Page) spot(selector string) (at point) {
	p.t.Helper()
	p.until("a place to point at: "+selector, func() (err error) {
		at, err = read[point](p, "eyes.point(() => "+call("target", selector, "")+")")
		return err
	})
	return at
}

func (p *Page) mouse(events ...input.DispatchMouseEventParams) {
	p.t.Helper()
	for _, e := range events {
		p.do("move the mouse", func(ctx context.Context, to *chromedp.Target) error {
			_, err := cdp.Call(ctx, to, input.DispatchMouseEvent, e)
			return err
		})
	}
}
