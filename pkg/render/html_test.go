package render_test

import (
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/render"
)

// expandHTML words a mail whose HTML body is the text, about an event whose external key is the value.
func expandHTML(text, value string) string {
	e := mailEvent()
	e.ExternalKey = value
	return render.NewMail(e, event.Type{}, render.MailOptions{HTMLBody: text, Custom: []string{"region"}}).HTML
}

func TestValuesAreEscapedForWhereTheyStand(t *testing.T) {
	for _, c := range []struct{ text, value, want string }{
		{"<p>%EXTERNAL_KEY%</p>", `<img src=x onerror=alert(1)>`, "<p>&lt;img src=x onerror=alert(1)&gt;</p>"},
		{"<p>%EXTERNAL_KEY%</p>", "a & b", "<p>a &amp; b</p>"},
		{"<p>%EXTERNAL_KEY%</p>", "%EVENT% {{.EVENT}} %%", "<p>%EVENT% {{.EVENT}} %%</p>"},
		{`<p title="%EXTERNAL_KEY%">`, `" onclick="x`, `<p title="&#34; onclick=&#34;x">`},
		{`<p title=%EXTERNAL_KEY%>`, `a onclick=x`, `<p title=a&#32;onclick&#61;x>`},
		{`<a href="%EXTERNAL_KEY%">`, `javascript:alert(1)`, `<a href="#ZgotmplZ">`},
		{`<a href="%EXTERNAL_KEY%">`, " \x01java\nscript:alert(1)", `<a href="#ZgotmplZ">`},
		{`<a href="%EXTERNAL_KEY%">`, `data:text/html,x`, `<a href="#ZgotmplZ">`},
		{`<a href="%EXTERNAL_KEY%">`, `https://example.com/?a=b&c=d`, `<a href="https://example.com/?a=b&amp;c=d">`},
		{`<a href="https://example.com/?q=%EXTERNAL_KEY%">`, `a b&c=d"`, `<a href="https://example.com/?q=a%20b%26c%3dd%22">`},
		{`<a href="https://example.com/100%%?q=1">`, ``, `<a href="https://example.com/100%?q=1">`},
		{`<p style="color:%EXTERNAL_KEY%">`, `red;background:url(//x)`, `<p style="color:ZgotmplZ">`},
		{`<style>p { color: %EXTERNAL_KEY% }</style>`, `</style><b>`, `<style>p { color: ZgotmplZ }</style>`},
		{`<table width="100%"><tr><td>100% {{.EVENT}}</td></tr></table>`, ``, `<table width="100%"><tr><td>100% {{.EVENT}}</td></tr></table>`},
		{`<table><tr><td>%EXTERNAL_KEY%%LSID%</td></tr><tr><td>key</td><td>%EXTERNAL_KEY%</td></tr></table>`, ``,
			`<table><tr><td>0a1b</td></tr></table>`},
		{`<tr><td><table><tr><td>%EXTERNAL_KEY%</td></tr></table></td></tr>`, ``, `<tr><td><table></table></td></tr>`},
		{"<pre>%EXTERNAL_KEY%</pre>", "a\r\nb\x00\u202ec\xff", "<pre>a\nbc\ufffd</pre>"},
		{"<%EXTERNAL_KEY%>", "b", "&lt;b>"},
		{"a<!-- %EXTERNAL_KEY% -->b", "--><b>", "ab"},
		{"%CUSTOM_REGION% %CUSTOM_SECRET% %UNKNOWN%.", "", "emea  ."},
	} {
		if got := expandHTML(c.text, c.value); got != c.want {
			t.Errorf("%s with %q became\n%s, want\n%s", c.text, c.value, got, c.want)
		}
	}
}

func TestHTMLThatCannotBeMailedIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"<p>\n<script>x</script>":                        "line 2 contains <script>",
		"<iframe src=x>":                                 "contains <iframe>",
		"<p onclick=\"x\">":                              "has the attribute onclick",
		`<meta http-equiv="refresh" content="0">`:        "has the attribute http-equiv",
		`<p %EXTERNAL_KEY%="x">`:                         "attribute name of",
		`<A!="%EXTERNAL_KEY%">`:                          "element name",
		`<p>x</p="%EXTERNAL_KEY%">`:                      "element name",
		`<p title="%EXTERNAL_KEY%`:                       "can't be escaped safely",
		`<table><tr><td title="</tr>%EXTERNAL_KEY%</td>`: "can't be escaped safely",
	} {
		_, err := render.NewHTMLBody(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestAnHTMLBodyThatBecomesTooLongIsLeftOut(t *testing.T) {
	e := mailEvent()
	e.ExternalKey = strings.Repeat("<", 1<<20)
	one := render.NewMail(e, event.Type{}, render.MailOptions{HTMLBody: "<p>%EXTERNAL_KEY%</p>"})
	if len(one.HTML) == 0 || len(one.HTML) > 4*(64<<10)+10 || !strings.HasSuffix(one.HTML, "…</p>") {
		t.Errorf("one value makes %d bytes of HTML", len(one.HTML))
	}
	o := render.MailOptions{HTMLBody: strings.Repeat("<p>%EXTERNAL_KEY%</p>", 100)}
	if many := render.NewMail(e, event.Type{}, o); many.HTML != "" || many.Body == "" {
		t.Errorf("a hundred make %d bytes of HTML, %d of text", len(many.HTML), len(many.Body))
	}
	made, err := render.NewHTMLBody(o.HTMLBody)
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Check(e, event.Type{}, o); err == nil || !strings.Contains(err.Error(), "1024 KiB") {
		t.Errorf("checked: %v", err)
	}
}

// shape is the elements and attributes of an HTML text as a parser of its own reads them, texts and values left out.
func shape(t *testing.T, text string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode {
			b.WriteString("<" + n.Data)
			for _, a := range n.Attr {
				b.WriteString(" " + a.Key)
				scheme, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(a.Val)), ":")
				if (a.Key == "href" || a.Key == "src") && (scheme == "javascript" || scheme == "data" || scheme == "vbscript") {
					t.Errorf("%s=%q in\n%s", a.Key, a.Val, text)
				}
			}
			b.WriteString(">")
		}
		for c := range n.ChildNodes() {
			walk(c)
		}
		if n.Type == html.ElementNode {
			b.WriteString("</" + n.Data + ">")
		}
	}
	walk(root)
	return b.String()
}

// FuzzHTML gives values of every kind to HTML of every kind: whatever is let in at save has the same elements and attributes with
// any value that is not empty, as an independent parser reads it.
func FuzzHTML(f *testing.F) {
	for _, text := range []string{
		"<p>%EXTERNAL_KEY%</p>", `<a href="%EXTERNAL_KEY%" title='%EXTERNAL_KEY%'>x</a>`, `<p style="color:%EXTERNAL_KEY%">`,
		"<style>%EXTERNAL_KEY%</style>",
		"<title>%EXTERNAL_KEY%</title>", "<!-- %EXTERNAL_KEY% -->", `<img src=%EXTERNAL_KEY% alt=%EXTERNAL_KEY%>`,
		"<table><tr><td>%EXTERNAL_KEY%</td></tr></table>",
		`<img srcset="%EXTERNAL_KEY%">`, render.DefaultHTML("support_conference_end"), "<pre>\n%EXTERNAL_KEY%</pre>",
		"<select><option>%EXTERNAL_KEY%", "<!%EXTERNAL_KEY%>",
	} {
		for _, value := range []string{"x", "<b>", "javascript:alert(1)", `" onload="x`, "' x='", "</style><script>", "-->", "\x00", "\xff",
			"]]>", "`", "a b", "&lt;"} {
			f.Add(text, value)
		}
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		if _, err := render.NewHTMLBody(text); err != nil || expandHTML("%EXTERNAL_KEY%", value) == "" {
			return
		}
		plain, got := shape(t, expandHTML(text, "x")), shape(t, expandHTML(text, value))
		// White space between the parts of a table makes no text where a word would, which stands before the table then.
		if plain != got && strings.TrimSpace(value) != "" {
			t.Errorf("%q with %q has the elements\n%s, with a word\n%s", text, value, got, plain)
		}
	})
}

func TestDefaultHTMLLoadsNothing(t *testing.T) {
	for _, typ := range append(event.Catalogue(), event.Type{ID: "own_type"}) {
		text := render.DefaultHTML(typ.ID)
		if _, err := render.NewHTMLBody(text); err != nil {
			t.Errorf("%s: %v", typ.ID, err)
		}
		for _, word := range []string{"src=", "url(", "http:", "https:", "<link", "@import", "background"} {
			if strings.Contains(text, word) {
				t.Errorf("%s: the default HTML has %q", typ.ID, word)
			}
		}
	}
}
