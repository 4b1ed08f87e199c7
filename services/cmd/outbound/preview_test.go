package main_test

import (
	"bytes"
	"net/mail"
	"strings"
	"testing"
)

func TestPreviewOfWhatIsSavedAndWhatIsNot(t *testing.T) {
	h := open(t)
	file := h.write("desk.yaml", `
displayName: Desk
eventTypes: [support_conference_end]
email:
  addresses: [desk@example.com, ops@example.com]
  subject: "Ended: %EXTERNAL_KEY%"
  htmlBody: "<p>%EXTERNAL_KEY%</p>"
  overrides: {support_conference_customer_exit_survey_completed: {subject: "Survey %RATING%"}}
`)
	for _, want := range []string{"Routed: yes", "To: desk@example.com, ops@example.com", "Subject: Ended: INC-1", "use --html to print it"} {
		if out := h.must("recipients", "preview", "-f", file); !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if out := h.must("recipients", "preview", "-f", file, "--html"); out != "<p>INC-1</p>\n" {
		t.Errorf("the HTML is %q", out)
	}
	m, err := mail.ReadMessage(bytes.NewReader([]byte(h.must("recipients", "preview", "-f", file, "--source"))))
	if err != nil || m.Header.Get("Subject") != "Ended: INC-1" || !strings.HasPrefix(m.Header.Get("Content-Type"), "multipart/alternative") {
		t.Errorf("the source is %v: %v", m, err)
	}
	if out := h.must("recipients", "preview", "-f", file, "-o", "json"); !strings.Contains(out, `"sample": true`) ||
		!strings.Contains(out, `"html": "<p>INC-1</p>"`) {
		t.Errorf("in JSON: %s", out)
	}
	if out := h.must("recipients", "list"); strings.Contains(out, "desk") {
		t.Errorf("a preview was saved:\n%s", out)
	}
	h.must("recipients", "create", "-f", file)
	out := h.must("recipients", "preview", "desk", "--type", "support_conference_customer_exit_survey_completed")
	if !strings.Contains(out, "Routed: no, event_type_not_selected") || !strings.Contains(out, "Subject: Survey 5") {
		t.Errorf("another type:\n%s", out)
	}
	published := h.must("events", "publish", "--appliance", "a1", "--event", "support_conference_end", "--id", "e-7",
		"--external-key", "INC-77")
	h.until(says("Subject: Ended: INC-77"), "recipients", "preview", "desk", "--event", "a1~e-7")
	if t.Failed() {
		t.Log(published)
	}
}
