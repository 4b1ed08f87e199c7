package deliveries_test

import (
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// command returns the curl command in the page of a delivery.
func command(t *testing.T, page string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, `<pre id="curl"`)
	_, rest, _ = strings.Cut(rest, ">")
	text, _, _ := strings.Cut(rest, "</pre>")
	if !found {
		t.Fatalf("the page offers no command: %s", page)
	}
	return html.UnescapeString(text)
}

func TestCurlCommandSendsTheSameRequest(t *testing.T) {
	type sent struct {
		Method, Path, Body string
		Header             http.Header
	}
	var got *sent
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		r.Header.Del("Content-Length")
		got = &sent{r.Method, r.RequestURI, string(b), r.Header}
	}))
	defer receiver.Close()
	h := &history{}
	b := start(t, h).As("viewer")
	trap := filepath.Join(t.TempDir(), "trap")
	run := "$(touch " + trap + ")`touch " + trap + "`'; touch " + trap + "; echo '\" || touch " + trap + " #"
	for name, x := range map[string]struct {
		method, path, body string
		headers            [][2]string
	}{
		"a form": {"POST", "/hook", "event=x&a=%27",
			[][2]string{{"Content-Type", "application/x-www-form-urlencoded"}, {"User-Agent", "Outbound/1"}}},
		"no body":         {"POST", "/hook", "", [][2]string{{"Webhook-Id", "e1"}}},
		"another method":  {"PUT", "/hook", "x", nil},
		"shell":           {"POST", "/hook/../x/./y?a=$HOME&b=%20", run, [][2]string{{"X-Trap", run}, {"Authorization", "Bearer [redacted]"}}},
		"globs":           {"POST", "/hook/[1-3]/{a,b}?x=[redacted]", "{}", nil},
		"a file":          {"POST", "/hook", "@/etc/hostname", [][2]string{{"X-At", "@/etc/hostname"}, {"X-Less", "</etc/hostname"}}},
		"lines":           {"POST", "/hook", "one\r\ntwo\n\n'three'\\n!!\t%s %d\n", nil},
		"quotes":          {"POST", "/hook", `''\''"\"` + "\\", nil},
		"controls":        {"POST", "/hook", "a\x1b[201~; touch " + trap + "\r\x07'\\\u009b0m\x7f", nil},
		"an empty header": {"POST", "/hook", "x", [][2]string{{"X-Empty", ""}, {"X-Semicolon", "a;"}}},
		"headers of its own": {"POST", "/hook", "x",
			[][2]string{{"Accept", "text/plain"}, {"Content-Type", "application/json"}, {"Content-Length", "999"},
				{"Traceparent", "[generated when sent]"}}},
		"not a name":    {"POST", "/hook", "x", [][2]string{{"@" + trap, "x"}, {"X Y", "z"}}},
		"much":          {"POST", "/hook", "@" + strings.Repeat("all work and no 'play'\n", 12_000), nil},
		"other scripts": {"POST", "/hook", "Größe 日本語 🛠 \u202e", [][2]string{{"X-Text", "Größe"}}},
	} {
		preview := &outboundv1.HttpPreview{Method: x.method, Url: receiver.URL + x.path, Body: x.body}
		want := &sent{x.method, x.path, x.body, http.Header{}}
		for _, p := range x.headers {
			preview.Headers = append(preview.Headers, &outboundv1.Header{Name: p[0], Value: p[1]})
			if name != "not a name" && p[0] != "Content-Length" && p[0] != "Traceparent" {
				want.Header.Add(p[0], p[1])
			}
		}
		h.detail = &outboundv1.DeliveryDetail{Delivery: &outboundv1.Delivery{}, Request: &outboundv1.DeliveryDetail_Http{Http: preview}}
		line := command(t, b.Get("/deliveries/crm/a1~e1").Body)
		got = nil
		cmd := exec.Command("bash")
		cmd.Stdin = strings.NewReader(line + "\n")
		out, err := cmd.CombinedOutput()
		if err != nil || got == nil {
			t.Errorf("%s: %v %s\n%.500s", name, err, out, line)
			continue
		}
		if want.Header.Get("User-Agent") == "" {
			got.Header.Del("User-Agent")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %.2000s\n%.500s", name, diff, line)
		}
		if _, err := os.Stat(trap); err == nil {
			t.Fatalf("%s: the command did more than send: %s", name, line)
		}
	}
}

func TestRequestsWithNULHaveNoCurlCommand(t *testing.T) {
	h := &history{detail: &outboundv1.DeliveryDetail{Delivery: &outboundv1.Delivery{},
		Request: &outboundv1.DeliveryDetail_Http{Http: &outboundv1.HttpPreview{Method: "POST", Url: "http://x/", Body: "a\x00b"}}}}
	page := start(t, h).As("viewer").Get("/deliveries/crm/a1~e1")
	if page.Status != http.StatusOK || strings.Contains(page.Body, `id="curl"`) {
		t.Errorf("%d %s", page.Status, page.Body)
	}
}
