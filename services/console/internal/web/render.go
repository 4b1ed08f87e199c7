package web

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed templates
var ownTemplates embed.FS

// View is the data of every template.
type View struct {
	// Data is the data of the handler.
	Data any
	// Me is the signed-in user.
	Me Me
	// Path and Query are from the request.
	Path, Query string
	// Flashes are the notices to show. Theme is light, dark or empty.
	Flashes []Flash
	Theme   string
	Version string
	Now     time.Time
	Nav     []NavItem
}

// NavItem is a link in the top bar.
type NavItem struct {
	Path, Label string
	Current     bool
}

func navigation(at string) []NavItem {
	items := []NavItem{
		{Path: "/", Label: "Recipients"}, {Path: "/deliveries", Label: "Deliveries"}, {Path: "/events", Label: "Events"},
		{Path: "/rejected", Label: "Invalid events"}, {Path: "/replays", Label: "Replays"}, {Path: "/settings", Label: "Settings"},
		{Path: "/health", Label: "Health"},
	}
	for i := range items {
		p := items[i].Path
		items[i].Current = at == p || p != "/" && strings.HasPrefix(at, p+"/") || p == "/" && strings.HasPrefix(at, "/recipients")
	}
	return items
}

// parse parses the templates of an area: one set per page, with the layout, the partials and the parts of the area.
func (a *Area) parse(files fs.FS) error {
	base, err := a.site.base.Clone()
	if err != nil {
		return fmt.Errorf("read templates: %w", err)
	}
	parts, err := fs.Glob(files, "_*.html")
	if err != nil {
		return fmt.Errorf("read templates: %w", err)
	}
	if len(parts) > 0 {
		if base, err = base.ParseFS(files, parts...); err != nil {
			return fmt.Errorf("read templates: %w", err)
		}
	}
	pages, err := fs.Glob(files, "*.html")
	if err != nil {
		return fmt.Errorf("read templates: %w", err)
	}
	for _, file := range pages {
		if strings.HasPrefix(file, "_") {
			continue
		}
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(files, file)
		}
		if err != nil {
			return fmt.Errorf("read the template %s: %w", file, err)
		}
		a.views[strings.TrimSuffix(path.Base(file), ".html")] = t
	}
	return nil
}

func (r *Request) view(data any) View {
	v := View{
		Data: data, Me: r.Me, Path: r.URL.Path, Query: r.URL.RawQuery, Flashes: r.takeFlashes(), Version: r.site.Version, Now: time.Now(),
		Nav: navigation(r.URL.Path),
	}
	if c, err := r.Cookie("outbound-theme"); err == nil && (c.Value == "light" || c.Value == "dark") {
		v.Theme = c.Value
	}
	return v
}

// Render responds with a page, or with its block `content` for an htmx request.
func (r *Request) Render(page string, data any) error {
	if r.Part() {
		return r.RenderPart(page, "content", data)
	}
	return r.write(page, "layout", r.view(data))
}

// RenderPart responds with a block of a page. Notices are included as out-of-band swaps.
func (r *Request) RenderPart(page, block string, data any) error {
	v := r.view(data)
	body, err := r.execute(page, block, v)
	if err != nil {
		return err
	}
	if len(v.Flashes) > 0 {
		more, err := r.execute(page, "flashes-oob", v)
		if err != nil {
			return err
		}
		body = append(body, more...)
	}
	return r.answer(body)
}

func (r *Request) write(page, block string, v View) error {
	body, err := r.execute(page, block, v)
	if err != nil {
		return err
	}
	return r.answer(body)
}

// execute renders into memory, so that an error can still become an error page.
func (r *Request) execute(page, block string, v View) ([]byte, error) {
	t := r.area.views[page]
	if t == nil {
		return nil, fmt.Errorf("render the page %q: unknown template", page)
	}
	var b bytes.Buffer
	err := t.ExecuteTemplate(&b, block, v)
	if err == nil && bytes.Contains(b.Bytes(), []byte(early)) {
		// The error summary precedes the fields whose labels it shows. The second pass knows the labels.
		b.Reset()
		err = t.ExecuteTemplate(&b, block, v)
	}
	if err != nil {
		return nil, fmt.Errorf("render the page %q: %w", page, err)
	}
	return b.Bytes(), nil
}

func (r *Request) answer(body []byte) error {
	h := r.W.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.W.WriteHeader(r.status)
	// The client may have disconnected.
	_, _ = r.W.Write(body)
	return nil
}
