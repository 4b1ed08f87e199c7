package demo

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
)

// story is a support session to play: its events in order.
type story struct {
	Title string
	// Session is its lsid.
	Session string
	Steps   []step
}

// step is one event of a story.
type step struct {
	Type string
	// Says is what happens, for the account.
	Says string
	Data map[string]any
}

// The event types of a support session.
const (
	typeBegin          = "support_conference_begin"
	typeEnd            = "support_conference_end"
	typeOwnerChanged   = "support_conference_owner_changed"
	typeMemberAdded    = "support_conference_member_added"
	typeMemberDeparted = "support_conference_member_departed"
	typeCustomerSurvey = "support_conference_customer_exit_survey_completed"
	typeRepSurvey      = "support_conference_rep_exit_survey_completed"
)

func allTypes() []string {
	return []string{typeBegin, typeMemberAdded, typeOwnerChanged, typeMemberDeparted, typeEnd, typeCustomerSurvey, typeRepSurvey}
}

// mailTypes are those the catalogue allows for email.
func mailTypes() []string { return []string{typeEnd, typeCustomerSurvey, typeRepSurvey} }

// The session's custom fields, by code name.
const (
	fieldRegion   = "region"
	fieldContract = "contract"
)

// data joins variables; later ones win.
func data(parts ...map[string]any) map[string]any {
	out := map[string]any{}
	for _, p := range parts {
		maps.Copy(out, p)
	}
	return out
}

func conference(name string) map[string]any {
	return map[string]any{"conference_id": "4711", "conference_name": name}
}

func customer(name, company, details string) map[string]any {
	return map[string]any{"customer": map[string]any{"name": name, "company": company, "details": details}}
}

func member(kind, name, username, id string) map[string]any {
	return map[string]any{"type": kind, "name": name, "display_name": name, "username": username, "user_id": id}
}

func owner(username, name string) map[string]any {
	return map[string]any{"username": username, "display_name": name}
}

func survey(rating, comment string, answers ...[2]string) map[string]any {
	list := make([]map[string]any, 0, len(answers))
	for _, a := range answers {
		list = append(list, map[string]any{"question": a[0], "answer": a[1]})
	}
	return map[string]any{"rating": rating, "comment": comment, "answers": list}
}

func fields(region, contract string) map[string]any {
	return map[string]any{"custom_fields": map[string]any{fieldRegion: region, fieldContract: contract}}
}

// ticketedSession is a session of all seven types, in which the representative sets the ticket's number once she has joined.
func ticketedSession(number int) (story, error) {
	session, err := newSession()
	if err != nil {
		return story{}, err
	}
	about := data(conference("General support"), fields("emea", "gold"))
	ticket := data(about, map[string]any{"external_key": fmt.Sprintf("INC-%d", number)})
	who := customer("Maria Jansen", "Example Ltd", "Printer does not answer")
	return story{Title: "A support session with a ticket", Session: session, Steps: []step{
		{typeBegin, "Maria Jansen asks for help: her printer does not answer", data(about, who)},
		{typeMemberAdded, "Maria joins", data(about, member("customer", "Maria Jansen", "", ""))},
		{typeMemberAdded, "Joe Miller joins to help her", data(about, member("representative", "Joe Miller", "joe", "12"))},
		{typeOwnerChanged, fmt.Sprintf("Joe takes the session over and sets its external key to INC-%d", number),
			data(ticket, map[string]any{"old_owner": owner("", ""), "new_owner": owner("joe", "Joe Miller")})},
		{typeMemberDeparted, "The printer prints; Maria leaves", data(ticket, member("customer", "Maria Jansen", "", ""))},
		{typeEnd, "Joe closes the session", data(ticket, who, map[string]any{"duration": 1260, "end_reason": "closed"})},
		{typeCustomerSurvey, "Maria fills in the exit survey", data(ticket, who,
			survey("5", "Quick and friendly, thank you!", [2]string{"Was the issue solved?", "yes"},
				[2]string{"Would you call again?", "any time"}))},
		{typeRepSurvey, "Joe fills in his", data(ticket, member("representative", "Joe Miller", "joe", "12"),
			survey("4", "Driver was out of date", [2]string{"Was the issue solved?", "yes"}, [2]string{"Follow-up needed?", "no"}))},
	}}, nil
}

// plainSession is a short one that never gets a ticket.
func plainSession() (story, error) {
	session, err := newSession()
	if err != nil {
		return story{}, err
	}
	about := data(conference("Passwords"), fields("apac", "basic"))
	who := customer("Tomás Núñez", "Muster AG", "Forgot my password")
	return story{Title: "A quick call without a ticket", Session: session, Steps: []step{
		{typeBegin, "Tomás Núñez has forgotten his password", data(about, who)},
		{typeEnd, "He has a new one", data(about, who, map[string]any{"duration": 95, "end_reason": "closed"})},
		{typeCustomerSurvey, "Tomás fills in the exit survey", data(about, who,
			survey("3", "Had to wait & wait", [2]string{"Was the issue solved?", "yes"}))},
	}}, nil
}

// newSession draws an lsid: 32 hexadecimal digits, as appliances have them.
func newSession() (string, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("generate a session id: %w", err)
	}
	return hex.EncodeToString(b), nil
}
