package render_test

import (
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/render"
)

// FuzzMacros fills in texts. A macro is filled in once: what stands in a value is never taken for a macro. A text that passes the check has
// no macro left, and what does not pass names one that it has.
func FuzzMacros(f *testing.F) {
	for _, s := range []string{"%EXTERNAL_KEY%", "%%EXTERNAL_KEY%%", "100 % %external_key%", "%CUSTOM_REGION", "%NOPE%", "%\xff%", "%A% %B%"} {
		f.Add(s, "%EVENT_TYPE%")
	}
	known := render.KnownMacros(event.Catalogue(), []string{"region"})
	f.Fuzz(func(t *testing.T, text, value string) {
		err := render.CheckMacros(text, known)
		if err != nil && (!strings.Contains(text, "%") || len(err.Error()) > 4*len(text)+4096) {
			t.Errorf("%q is refused with %q", text, err)
		}
		const mark = "qqmarkqq"
		if strings.Contains(text+value, mark) {
			return
		}
		e := mailEvent()
		e.ExternalKey = mark + "%EXTERNAL_KEY%%EVENT_TYPE%"
		m := render.NewMail(e, event.Type{}, render.MailOptions{Subject: "%EXTERNAL_KEY%", Body: "Hello " + text}) // an empty text is the default
		if m.Subject != e.ExternalKey {
			t.Errorf("the value %q is filled in as %q", e.ExternalKey, m.Subject)
		}
		if n := strings.Count(m.Body, mark); n > strings.Count(strings.ToUpper(text), "EXTERNAL_KEY")+strings.Count(text, "EVENT_VARIABLES") {
			t.Errorf("%q has the value %d times: %q", text, n, m.Body)
		}
	})
}
