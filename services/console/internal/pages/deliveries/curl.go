package deliveries

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/outbound-events/outbound/pkg/render"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// argumentMost is how long an argument may be so that every shell can pass it on; Linux takes 128 KiB.
const argumentMost = 100 << 10

// curl is a request as a command that sends it from a shell (bash, zsh, and sh unless there are control characters): nothing in
// it is more than text to the shell, and nothing is read from files. Secrets are not in it. It is empty for what no command
// can say. What each sending makes anew, e.g. traceparent, is left away.
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
	// curl adds headers of its own, which were not sent.
	for _, name := range []string{"Accept", "Content-Type", "Expect"} {
		if !has[name] {
			args = append(args, "--header "+quote(name+":"))
		}
	}
	before := ""
	switch body := h.GetBody(); {
	case body == "":
	case len(body) > argumentMost:
		// printf is part of the shell, so its arguments have no bound.
		before = "printf %s " + quote(body) + " | "
		args = append(args, "--data-binary @-")
	default:
		args = append(args, "--data-raw "+quote(body))
	}
	return before + strings.Join(args, " \\\n  ")
}

// headerArgument writes a header as curl reads it: one without a value ends with a semicolon, or curl would leave it away.
func headerArgument(h *outboundv1.Header) string {
	value := strings.NewReplacer("\r", " ", "\n", " ").Replace(h.GetValue())
	if strings.TrimSpace(value) == "" {
		return h.GetName() + ";"
	}
	return h.GetName() + ": " + value
}

// token reports whether a header can have this name.
func token(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}) < 0
}

// quote makes a text one word of the shell. Control characters are written out: pasted as they are, a terminal could take them
// for its own.
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

// control reports whether a character means something to terminals. Line ends and tabs are text.
func control(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0
}
