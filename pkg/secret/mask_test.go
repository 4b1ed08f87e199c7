package secret_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/secret"
)

func TestMaskerHidesEachForm(t *testing.T) {
	for _, s := range []string{"hunter22", `p&ss/"wörd"<+> =x`, "s3cr3t-token-0123456789abcdef", "four"} {
		m := secret.NewMasker(s, "")
		marshalled, _ := json.Marshal(map[string]string{"a": s})
		texts := map[string]string{
			"plain": "x " + s + " y", "query": "q=" + url.QueryEscape(s), "path": "/" + url.PathEscape(s),
			"lower": strings.ToLower(url.QueryEscape(s)), "json": string(marshalled), "html": html.EscapeString(s),
			"hex": hex.EncodeToString([]byte(s)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(s))),
			"base64": base64.StdEncoding.EncodeToString([]byte(s)), "base64url": base64.RawURLEncoding.EncodeToString([]byte(s)),
			"slashes": strings.ReplaceAll("a/b/c/"+s, s, strings.ReplaceAll(s, "/", `\/`)), "twice": s + s,
		}
		if strings.Contains(s, `"`) {
			delete(texts, "slashes") // is escaped in more than its slashes
		}
		if len(s) > 6 {
			for name, before := range map[string]string{"0": "", "1": "a", "2": "ab", "user": "user:"} {
				texts["within "+name] = base64.StdEncoding.EncodeToString([]byte(before + s + ":z"))
			}
		}
		for name, text := range texts {
			got := m.Mask(text)
			if name == "lower" && s != strings.ToLower(s) {
				continue
			}
			if !strings.Contains(got, "[redacted]") || strings.Contains(got, s) {
				t.Errorf("%s of %q stays: %q", name, s, got)
			}
		}
	}
}

func TestMaskerLeavesOtherText(t *testing.T) {
	const text = `{"error":"the password is wrong","at":"2026-11-29"}`
	for _, m := range []*secret.Masker{nil, {}, secret.NewMasker(), secret.NewMasker("", "abc"), secret.NewMasker("hunter22")} {
		if got := m.Mask(text); got != text {
			t.Errorf("masked to %q", got)
		}
		if got := string(m.MaskCut([]byte(text))); got != text {
			t.Errorf("cut to %q", got)
		}
	}
}

func TestMaskerHidesTheBeginningOfASecretAtACut(t *testing.T) {
	const s = "s3cr3t-token-0123456789abcdef"
	m := secret.NewMasker(s)
	for _, form := range secret.Forms(s) {
		for n := 4; n <= len(form); n++ {
			if got := string(m.MaskCut([]byte("you sent " + form[:n]))); strings.Contains(got, form[:4]) {
				t.Fatalf("of %q cut at %d stays %q", form, n, got)
			}
		}
	}
}
