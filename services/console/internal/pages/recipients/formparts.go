package recipients

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// Repeated messages are rows: the fields of a row have the same index in the values of each field.
const (
	headerNames, headerValues                                = "http.headers.name", "http.headers.value"
	signingIDs, signingKinds, signingSecrets, signingExpires = "http.signingSecrets.id", "http.signingSecrets.kind",
		"http.signingSecrets.secret", "http.signingSecrets.expireTime"
	signingRemoved                  = "http.signingSecrets.removed"
	overrideTypes, overrideSubjects = "email.overrides.type", "email.overrides.subject"
	overrideBodies, overrideHTML    = "email.overrides.body", "email.overrides.htmlBody"
)

// at returns the value in row i; a field may have fewer values than rows.
func at(values []string, i int) string {
	if i < len(values) {
		return values[i]
	}
	return ""
}

// lines returns the distinct lines of multi-line values.
func lines(values []string) []string {
	var out []string
	for _, v := range values {
		for _, line := range strings.FieldsFunc(v, func(r rune) bool { return r == '\n' || r == ',' || r == '\r' }) {
			if line = strings.TrimSpace(line); line != "" && !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	return out
}

func showHeaders(form *web.Form, h *outboundv1.HttpRecipient) {
	names := slices.Sorted(maps.Keys(h.GetHeaders()))
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = h.GetHeaders()[name]
	}
	form.Set(headerNames, names...)
	form.Set(headerValues, values...)
}

func readHeaders(form *web.Form, h *outboundv1.HttpRecipient) {
	for i, name := range form.All(headerNames) {
		name, value := strings.TrimSpace(name), strings.TrimSpace(at(form.All(headerValues), i))
		if name == "" {
			if value != "" {
				form.Add("http.headers", "Enter a name for the value "+value)
			}
			continue
		}
		if _, twice := h.GetHeaders()[name]; twice {
			form.Add("http.headers", name+" is set twice")
			continue
		}
		if h.Headers == nil {
			h.Headers = map[string]string{}
		}
		h.Headers[name] = value
	}
}

func showSigning(form *web.Form, h *outboundv1.HttpRecipient) {
	var ids, kinds, expires, none []string
	for _, s := range h.GetSigningSecrets() {
		until := ""
		if s.GetExpireTime() != nil {
			until = s.GetExpireTime().AsTime().UTC().Format(time.RFC3339)
		}
		ids, kinds, expires, none = append(ids, s.GetId()), append(kinds, s.GetKind().String()), append(expires, until), append(none, "")
	}
	form.Set(signingIDs, ids...)
	form.Set(signingKinds, kinds...)
	form.Set(signingExpires, expires...)
	form.Set(signingSecrets, none...)
}

func readSigning(form *web.Form, h *outboundv1.HttpRecipient) {
	for i, id := range form.All(signingIDs) {
		kind, secret := at(form.All(signingKinds), i), strings.TrimSpace(at(form.All(signingSecrets), i))
		until := strings.TrimSpace(at(form.All(signingExpires), i))
		if id == "" && kind == "" && secret == "" || id != "" && slices.Contains(form.All(signingRemoved), id) {
			continue
		}
		s := &outboundv1.SigningSecret{Id: id, Secret: secret}
		if secret == "" || id != "" {
			s.Kind = outboundv1.SigningSecret_Kind(outboundv1.SigningSecret_Kind_value[kind])
		}
		if until != "" {
			expiry, ok := instant(until, time.Now())
			if !ok {
				form.Add(fmt.Sprintf("http.signingSecrets[%d].expireTime", i),
					"is not a time: use e.g. 2026-11-21 10:00 (UTC) or a duration such as 24 h")
				continue
			}
			s.ExpireTime = timestamppb.New(expiry)
		}
		h.SigningSecrets = append(h.SigningSecrets, s)
	}
}

// instant parses a time or a duration from now.
func instant(text string, now time.Time) (time.Time, bool) {
	if t, ok := web.ParseInstant(text); ok {
		return t, true
	}
	d, ok := web.ParseWords(text)
	return now.Add(d).Truncate(time.Second), ok
}

func showOverrides(form *web.Form, e *outboundv1.EmailRecipient) {
	var types, subjects, bodies, htmls []string
	for _, t := range slices.Sorted(maps.Keys(e.GetOverrides())) {
		x := e.GetOverrides()[t]
		types, subjects, bodies, htmls = append(types, t), append(subjects, x.GetSubject()), append(bodies, x.GetBody()),
			append(htmls, x.GetHtmlBody())
	}
	form.Set(overrideTypes, types...)
	form.Set(overrideSubjects, subjects...)
	form.Set(overrideBodies, bodies...)
	form.Set(overrideHTML, htmls...)
}

func readOverrides(form *web.Form, e *outboundv1.EmailRecipient) {
	for i, t := range form.All(overrideTypes) {
		text := &outboundv1.MailText{
			Subject: strings.TrimSpace(at(form.All(overrideSubjects), i)), Body: unix(at(form.All(overrideBodies), i)),
			HtmlBody: unix(at(form.All(overrideHTML), i)),
		}
		if t == "" {
			continue
		}
		if _, twice := e.GetOverrides()[t]; twice {
			form.Add("email.overrides", t+" has two templates: keep one of them")
			continue
		}
		if e.Overrides == nil {
			e.Overrides = map[string]*outboundv1.MailText{}
		}
		e.Overrides[t] = text
	}
}

// unix converts line endings to LF. It returns an empty text for a blank one.
func unix(text string) string {
	if strings.TrimSpace(text) == "" {
		return ""
	}
	return strings.ReplaceAll(text, "\r\n", "\n")
}
