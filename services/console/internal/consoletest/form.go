package consoletest

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// FormOf returns what a browser submits for the unchanged form with this id.
func (a Answer) FormOf(t testing.TB, id string) url.Values {
	t.Helper()
	page, err := html.Parse(strings.NewReader(a.Body))
	if err != nil {
		t.Fatal(err)
	}
	out := url.Values{}
	found := false
	for n := range page.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" || attribute(n, "id") != id {
			continue
		}
		found = true
		for field := range n.Descendants() {
			send(out, field)
		}
	}
	if !found {
		t.Fatalf("there is no form %q in the page:\n%s", id, a.Body)
	}
	return out
}

// send adds the values of a field.
func send(out url.Values, n *html.Node) {
	name := attribute(n, "name")
	if n.Type != html.ElementNode || name == "" || has(n, "disabled") {
		return
	}
	switch n.Data {
	case "input":
		switch kind := attribute(n, "type"); kind {
		case "checkbox", "radio":
			if has(n, "checked") {
				out.Add(name, attribute(n, "value"))
			}
		case "file", "submit", "button":
		default:
			out.Add(name, attribute(n, "value"))
		}
	case "textarea":
		out.Add(name, textOf(n))
	case "select":
		out.Add(name, chosen(n))
	}
}

// chosen returns the value of the selected option; by default the first.
func chosen(n *html.Node) string {
	var options []*html.Node
	for o := range n.Descendants() {
		if o.Type == html.ElementNode && o.Data == "option" {
			options = append(options, o)
		}
	}
	if i := slices.IndexFunc(options, func(o *html.Node) bool { return has(o, "selected") }); i > 0 {
		return attribute(options[i], "value")
	}
	if len(options) == 0 {
		return ""
	}
	return attribute(options[0], "value")
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for t := range n.Descendants() {
		if t.Type == html.TextNode {
			b.WriteString(t.Data)
		}
	}
	return b.String()
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
