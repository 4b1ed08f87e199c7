package render_test

import (
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/render"
)

// expand words a mail whose body is the text.
func expand(e *event.Event, text string, custom ...string) string {
	return render.NewMail(e, event.Type{ID: e.Type, DisplayName: "Label", Product: "Product"},
		render.MailOptions{Body: text, Custom: custom}).Body
}

func mailEvent() *event.Event {
	return &event.Event{
		ID: "e-1", Appliance: "appliance-1", Type: "support_conference_end", Session: "0a1b", ExternalKey: "INC-1",
		Time:   time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		Custom: []event.Variable{{Name: "region", Value: "emea"}, {Name: "secret", Value: "hidden"}},
		Variables: []event.Variable{{Name: "customer.name", Value: "Maria"}, {Name: "customer_name", Value: "second"},
			{Name: "odd-name é", Value: "odd"}, {Name: "trick", Value: "%EXTERNAL_KEY%%%"}},
	}
}

func TestMacrosAreReplacedOnce(t *testing.T) {
	for text, want := range map[string]string{
		"%EXTERNAL_KEY%":                     "INC-1",
		"a%EVENT%b":                          "asupport_conference_endb",
		"%EVENT_LABEL%, %PRODUCT%":           "Label, Product",
		"%EVENT_ID%":                         "appliance-1~e-1",
		"%EVENT_TIME%":                       "2026-11-21 10:00:00 UTC",
		"%EVENT_TIME_UTC%":                   "2026-11-21T10:00:00Z",
		"%EVENT_DATE%":                       "Saturday, 21 November 2026",
		"%EVENT_TIME_OF_DAY%":                "10:00 UTC",
		"%APPLIANCE_NAME%":                   "appliance-1",
		"%DURATION_TEXT%":                    "",
		"%TIMESTAMP%/%VERSION%":              "1795255200/" + event.SchemaVersion,
		"%APPLIANCE_ID% %LSID% %SESSION_ID%": "appliance-1 0a1b 0a1b",
		"%CUSTOM_REGION%":                    "emea",
		"%CUSTOM_SECRET%":                    "",
		"%CUSTOM_FIELDS%":                    "region: emea",
		"%CUSTOMER_NAME%":                    "Maria",
		"%ODD_NAME__%":                       "odd",
		"%TRICK%":                            "%EXTERNAL_KEY%%%",
		"%UNKNOWN%.":                         ".",
		"100%":                               "100%",
		"100%%":                              "100%",
		"%%EVENT%%":                          "%EVENT%",
		"%%%EXTERNAL_KEY%%%":                 "%INC-1%",
		"% EVENT%":                           "% EVENT%",
		"%event%EXTERNAL_KEY%":               "%eventINC-1",
		"50% of %EXTERNAL_KEY%":              "50% of INC-1",
		"%1A% %_A% %%":                       "%1A% %_A% %",
		"":                                   "",
		"%":                                  "%",
	} {
		if text == "" {
			continue // stands for the default text
		}
		if got := expand(mailEvent(), text, "region"); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestEventTimeIsInTheZoneOfTheSettings(t *testing.T) {
	zone := time.FixedZone("CET", 3600)
	m := render.NewMail(mailEvent(), event.Type{}, render.MailOptions{Body: "%EVENT_TIME%", Zone: zone})
	if want := "2026-11-21 11:00:00 CET"; m.Body != want {
		t.Errorf("time is %q, want %q", m.Body, want)
	}
}

func TestNamesOfTheSettingsAreUsed(t *testing.T) {
	e := mailEvent()
	e.Variables = []event.Variable{{Name: "duration", Value: "93784"}}
	m := render.NewMail(e, event.Type{}, render.MailOptions{
		Body: "%APPLIANCE_NAME%, %DURATION_TEXT%, %CUSTOM_FIELDS%", ApplianceName: "Berlin", Custom: []string{"region"},
		CustomNames: map[string]string{"region": "Region"},
	})
	if want := "Berlin, 1 d 2 h, Region: emea"; m.Body != want {
		t.Errorf("%q, want %q", m.Body, want)
	}
}

func TestSurveyAnswersAreReadable(t *testing.T) {
	for answers, want := range map[string]string{
		`[{"question":"Solved?","answer":"yes"},{"question":"When?","answer":7}]`: "Rating: 5\nSolved? yes\nWhen? 7\nComment: fine",
		`[{"question":"Which?","answer":["a","b"]},{"question":"Why?"}]`:          "Rating: 5\nWhich? a, b\nWhy? (no answer)\nComment: fine",
		`not json`:  "Rating: 5\nAnswers: not json\nComment: fine",
		`[{"q":1}]`: "Rating: 5\nAnswers: [{\"q\":1}]\nComment: fine",
		`[]`:        "Rating: 5\nComment: fine",
	} {
		e := mailEvent()
		e.Variables = []event.Variable{{Name: "answers", Value: answers}, {Name: "comment", Value: "fine"}, {Name: "rating", Value: "5"}}
		if got := expand(e, "%SURVEY_ANSWERS%"); got != want {
			t.Errorf("answers %s read %q, want %q", answers, got, want)
		}
	}
}

func TestEveryCatalogueVariableIsAMacro(t *testing.T) {
	for _, typ := range event.Catalogue() {
		known := render.KnownMacros([]event.Type{typ}, []string{"region"})
		var text strings.Builder
		for _, m := range render.MacroNames(typ, []string{"region"}) {
			if m.Description == "" {
				t.Errorf("%s: macro %s has no description", typ.ID, m.Name)
			}
			text.WriteString("%" + m.Name + "%")
		}
		if err := render.CheckMacros(text.String(), known); err != nil {
			t.Errorf("%s: %v", typ.ID, err)
		}
		e := event.Sample(typ, "appliance-1", "e-1", time.Unix(1795255200, 0), []string{"region"})
		for _, m := range render.MacroNames(typ, []string{"region"}) {
			if m.Name != "SURVEY_ANSWERS" && m.Name != "DURATION_TEXT" && expand(e, "%"+m.Name+"%", "region") == "" {
				t.Errorf("%s: macro %s of the sample event is empty", typ.ID, m.Name)
			}
		}
	}
}

func TestCheckMacrosNamesTheUnknownAndTheNearest(t *testing.T) {
	known := render.KnownMacros(event.Catalogue(), []string{"region"})
	for _, text := range []string{"", "plain", "100% sure", "%%NOTHING%%", "%EXTERNAL_KEY% %CUSTOM_REGION% %CUSTOMER_NAME%", "%word%",
		"%no macro%"} {
		if err := render.CheckMacros(text, known); err != nil {
			t.Errorf("%q is refused: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"%EXTERNALKEY%":            "unknown macro %EXTERNALKEY%, did you mean %EXTERNAL_KEY%?",
		"%external_key%":           "unknown macro %external_key%, did you mean %EXTERNAL_KEY%?",
		"%CUSTOM_REGOIN%":          "did you mean %CUSTOM_REGION%?",
		"%SOMETHING_QUITE_OTHER%":  "unknown macro %SOMETHING_QUITE_OTHER%; ",
		"%ZZZZZZ% %ZZZZZZ% %YYYY%": "unknown macro %ZZZZZZ%; unknown macro %YYYY%; ",
	} {
		err := render.CheckMacros(text, known)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
