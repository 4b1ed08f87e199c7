package render

import "strings"

// DefaultSubject is the subject of a mail about an event type, with macros, for a recipient that has none of its own.
func DefaultSubject(eventType string) string {
	if d, ok := defaultMails()[eventType]; ok {
		return d.subject
	}
	return "[%APPLIANCE_NAME%] %EVENT_LABEL% %EXTERNAL_KEY%"
}

// DefaultBody is the body of a mail about an event type, with macros, for a recipient that has none of its own. A line of it
// whose macros are all empty is left out of the mail.
func DefaultBody(eventType string) string {
	d := defaultMailOf(eventType)
	var b strings.Builder
	b.WriteString(d.says + "\n\n")
	for _, f := range d.facts {
		b.WriteString(f.label + ":" + strings.Repeat(" ", max(1, labelWidth-len(f.label))) + f.macro + "\n")
	}
	for _, block := range d.blocks {
		b.WriteString("\n" + block.macro + "\n")
	}
	b.WriteString(footer)
	return b.String()
}

// labelWidth is where the values of facts begin.
const labelWidth = len("External key: ") - 1

const footer = `
-- 
Sent by Outbound. Event %EVENT_ID%
`

// defaultMail is the default texts of one event type.
type defaultMail struct {
	subject string
	// title heads the HTML, says is the first sentence of both.
	title, says string
	facts       []fact
	// blocks are values of several lines.
	blocks []fact
}

// fact is a line of a mail: a label and the macro whose value it is.
type fact struct{ label, macro string }

func defaultMailOf(eventType string) defaultMail {
	if d, ok := defaultMails()[eventType]; ok {
		return d
	}
	return defaultMail{title: "%EVENT_LABEL%", says: "%EVENT_LABEL%", facts: sessionFacts(), blocks: allVariables()}
}

func defaultMails() map[string]defaultMail {
	return map[string]defaultMail{
		"support_conference_end": {
			subject: "[%APPLIANCE_NAME%] Support session ended %EXTERNAL_KEY%",
			title:   "Support session ended",
			says:    "A support session has ended.",
			facts:   sessionFacts(fact{"Customer", "%CUSTOMER_NAME%"}, fact{"Lasted", "%DURATION_TEXT%"}, fact{"End reason", "%END_REASON%"}),
			blocks:  allVariables(),
		},
		"support_conference_customer_exit_survey_completed": {
			subject: "[%APPLIANCE_NAME%] Customer survey completed %EXTERNAL_KEY%",
			title:   "Customer survey completed",
			says:    "A customer has completed the exit survey of a support session.",
			facts:   sessionFacts(fact{"Customer", "%CUSTOMER_NAME%"}),
			blocks:  surveyBlocks(),
		},
		"support_conference_rep_exit_survey_completed": {
			subject: "[%APPLIANCE_NAME%] Representative survey completed %EXTERNAL_KEY%",
			title:   "Representative survey completed",
			says:    "A representative has completed the exit survey of a support session.",
			facts:   sessionFacts(fact{"Filled in by", "%DISPLAY_NAME%"}),
			blocks:  surveyBlocks(),
		},
	}
}

// sessionFacts is what every default mail says of its event, and more behind it.
func sessionFacts(more ...fact) []fact {
	return append([]fact{
		{"Appliance", "%APPLIANCE_NAME%"}, {"Session", "%SESSION_ID%"}, {"External key", "%EXTERNAL_KEY%"}, {"Time", "%EVENT_TIME%"},
	}, more...)
}

func allVariables() []fact {
	return []fact{{"Details", "%EVENT_VARIABLES%"}, {"Custom fields", "%CUSTOM_FIELDS%"}}
}

func surveyBlocks() []fact {
	return []fact{{"Answers", "%SURVEY_ANSWERS%"}, {"Custom fields", "%CUSTOM_FIELDS%"}}
}
