package render

// DefaultSubject is the subject of a mail about an event type, with macros, for a recipient that has none of its own.
func DefaultSubject(eventType string) string {
	if d, ok := defaultMails()[eventType]; ok {
		return d.subject
	}
	return "[%APPLIANCE_ID%] %EVENT_LABEL% %EXTERNAL_KEY%"
}

// DefaultBody is the body of a mail about an event type, with macros, for a recipient that has none of its own. A line of it
// whose macros are all empty is left out of the mail.
func DefaultBody(eventType string) string {
	d, ok := defaultMails()[eventType]
	if !ok {
		d.body = "%EVENT_LABEL%\n"
	}
	text := d.body + facts
	if d.rest != "" {
		return text + d.rest + footer
	}
	return text + "\n%EVENT_VARIABLES%\n%CUSTOM_FIELDS%\n" + footer
}

// defaultMail is the default texts of one event type: what stands above the facts of the session and below them.
type defaultMail struct{ subject, body, rest string }

func defaultMails() map[string]defaultMail {
	return map[string]defaultMail{
		"support_conference_end": {
			subject: "[%APPLIANCE_ID%] Support session ended %EXTERNAL_KEY%",
			body:    "A support session has ended.\n",
			rest:    "\n%EVENT_VARIABLES%\n%CUSTOM_FIELDS%\n",
		},
		"support_conference_customer_exit_survey_completed": {
			subject: "[%APPLIANCE_ID%] Customer survey completed %EXTERNAL_KEY%",
			body:    "A customer has completed the exit survey of a support session.\n",
			rest:    "\n%SURVEY_ANSWERS%\n\n%CUSTOM_FIELDS%\n",
		},
		"support_conference_rep_exit_survey_completed": {
			subject: "[%APPLIANCE_ID%] Representative survey completed %EXTERNAL_KEY%",
			body:    "A representative has completed the exit survey of a support session.\n",
			rest:    "\n%SURVEY_ANSWERS%\n\n%CUSTOM_FIELDS%\n",
		},
	}
}

// facts is what every default mail says of its event.
const facts = `
Appliance:    %APPLIANCE_ID%
Session:      %SESSION_ID%
External key: %EXTERNAL_KEY%
Time:         %EVENT_TIME%
`

const footer = `
-- 
Sent by Outbound. Event %EVENT_ID%
`
