package deliveries

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/outbound-events/outbound/pkg/render"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// argumentMost is the length limit of an argument. Linux accepts 128 KiB.
const argumentMost = 100 << 10

// curl returns a request as a shell command (bash, zsh, and sh unless there are control characters). The shell treats all of it as
// text, and curl reads no files. It contains no secrets, and no headers that are generated per attempt, e.g. traceparent. It is empty
// for a request that a command cannot express.
func curl(h *outboundv1.HttpPreview) string {
	if strings.ContainsRune(h.GetUrl()+h.GetMethod()+h.GetBody(), 0) || h.GetUrl() == "" {
		return ""
	}
	args := []string{"curl --include --globoff --path-as-is --request " + quote(h.GetMethod()), "--url " + quote(h.GetUrl())}
	has := map[string]bool{}
	for _, header := range h.GetHeaders() {
		name := http.CanonicalHeaderKey(header.GetName())
		if name == "Content-Length" || header.GetValue() == render.MadeAtSending || !token(name) || strings.ContainsRune(header.GetValue(), 0) {
			continue
		}
		has[name] = true
		args = append(args, "--header "+quote(headerArgument(header)))
	}
	// Suppress the headers that curl adds by itself.
	for _, name := range []string{"Accept", "Content-Type", "Expect"} {
		if !has[name] {
			args = append(args, "--header "+quote(name+":"))
		}
	}
	before := ""
	switch body := h.GetBody(); {
	case body == "":
	case len(body) > argumentMost:
		// printf is a shell builtin, so its arguments are not limited.
		before = "printf %s " + quote(body) + " | "
		args = append(args, "--data-binary @-")
	default:
		args = append(args, "--data-raw "+quote(body))
	}
	return before + strings.Join(args, " \\\n  ")
}

// headerArgument formats a header for curl. A header without a value ends with a semicolon; otherwise curl drops it.
func headerArgument(h *outboundv1.Header) string {
	value := strings.NewReplacer("\r", " ", "\n", " ").Replace(h.GetValue())
	if strings.TrimSpace(value) == "" {
		return h.GetName() + ";"
	}
	return h.GetName() + ": " + value
}

// token reports whether a name is a valid header name.
func token(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}) < 0
}

// quote quotes a text as one shell word. Control characters are escaped, because a terminal would interpret them on paste.
func quote(text string) string {
	if strings.IndexFunc(text, control) < 0 {
		return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for _, r := range text {
		switch {
		case r == '\'' || r == '\\':
			b.WriteString(`\` + string(r))
		case control(r):
			for _, c := range []byte(string(r)) {
				fmt.Fprintf(&b, `\%03o`, c)
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteString("'")
	return b.String()
}

// control reports whether a terminal interprets a character. Line feeds and tabs are text.
func control(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0
}
