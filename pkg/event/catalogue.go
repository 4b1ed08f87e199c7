package event

// Type is an event type: a line of the catalogue.
type Type struct {
	// ID is the identifier, the CloudEvents type and the variable `event`.
	ID string
	// DisplayName is the name people see.
	DisplayName string
	// Product is which product publishes it.
	Product string
	// Email says whether email recipients may have it.
	Email bool
	// BuiltIn says that it is part of Outbound and can't be changed.
	BuiltIn bool
	// VendorKnown says that the identifier is the appliance vendor's; else it is ours.
	VendorKnown bool
	// Aliases are other CloudEvents types whose events are of this type.
	Aliases []string
	// Variables its events carry beside the common ones. Others are sent too; these are documented and offered as macros.
	Variables []TypeVariable
}

// TypeVariable is a documented variable.
type TypeVariable struct {
	// Name is the flattened name on the wire.
	Name string
	// Description says what the value is.
	Description string
	// Example is a sample value.
	Example string
	// VendorKnown says that the name is one which receivers of the vendor's events read; else it is ours.
	VendorKnown bool
}

// The products of the built-in types.
const (
	ProductSupport = "Remote Support"
	ProductAccess  = "Privileged Remote Access"
)

// CommonVariables are the variables of every event, in the order they are sent. They come from the envelope.
func CommonVariables() []TypeVariable {
	return []TypeVariable{
		{"event", "Identifier of the event's type.", "support_conference_end", true},
		{"version", "Version of this set of variables; raised when it changes.", SchemaVersion, true},
		{"timestamp", "When it happened, by the appliance's clock, in Unix seconds.", "1795255200", true},
		{"appliance_id", "The appliance that published it.", "appliance-1", true},
		{"lsid", "The session it belongs to; empty if none.", sampleSession, true},
		{"external_key", "The session's ticket key when it happened; empty if none.", sampleExternalKey, true},
	}
}

const (
	sampleSession     = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
	sampleExternalKey = "INC-1"
)

// Catalogue is the built-in event types in a fixed order: seven of Remote Support (formerly Bomgar), whose identifiers are
// the vendor's, and five of Privileged Remote Access, whose identifiers are ours because the vendor's are not public.
func Catalogue() []Type {
	types := append(supportTypes(), accessTypes()...)
	for i := range types {
		types[i].BuiltIn = true
	}
	return types
}

func supportTypes() []Type {
	types := []Type{
		{ID: "support_conference_begin", DisplayName: "Support session start", Variables: customer()},
		{ID: "support_conference_end", DisplayName: "Support session end", Email: true, Variables: append(customer(), ended()...)},
		{ID: "support_conference_owner_changed", DisplayName: "Support session ownership changes", Variables: owners()},
		{ID: "support_conference_member_added", DisplayName: "Someone joins a support session",
			Variables: member("customer or representative", "representative")},
		{ID: "support_conference_member_departed", DisplayName: "Someone leaves a support session",
			Variables: member("customer or representative", "customer")},
		{ID: "support_conference_customer_exit_survey_completed", DisplayName: "Customer exit survey is completed", Email: true,
			Variables: append(customer(), survey("customer")...)},
		{ID: "support_conference_rep_exit_survey_completed", DisplayName: "Representative exit survey is completed", Email: true,
			Variables: append(account(), survey("representative")...)},
	}
	for i := range types {
		types[i].Product, types[i].VendorKnown = ProductSupport, true
		types[i].Variables = append(conference(), types[i].Variables...)
	}
	return types
}

func accessTypes() []Type {
	types := []Type{
		{ID: "access_session_begin", DisplayName: "Access session start", Variables: account()},
		{ID: "access_session_end", DisplayName: "Access session end", Variables: append(account(), ended()...)},
		{ID: "access_session_owner_changed", DisplayName: "Access session ownership changes", Variables: owners()},
		{ID: "access_session_member_added", DisplayName: "Someone joins an access session", Variables: member("user or vendor", "user")},
		{ID: "access_session_member_departed", DisplayName: "Someone leaves an access session", Variables: member("user or vendor", "vendor")},
	}
	for i := range types {
		types[i].Product = ProductAccess
		types[i].Variables = append(ours(endpoint()), ours(types[i].Variables)...)
	}
	return types
}

// ours marks variables as not known from the vendor, as all of Privileged Remote Access are.
func ours(variables []TypeVariable) []TypeVariable {
	for i := range variables {
		variables[i].VendorKnown = false
	}
	return variables
}

func conference() []TypeVariable {
	return []TypeVariable{
		{"conference_id", "Number of the session or queue concerned.", "4711", true},
		{"conference_name", "Name of the session or queue concerned.", "General support", true},
	}
}

func endpoint() []TypeVariable {
	return []TypeVariable{
		{Name: "endpoint.name", Description: "The system that is accessed.", Example: "db-server-3"},
		{Name: "endpoint.group", Description: "The group of systems it belongs to.", Example: "Databases"},
	}
}

func customer() []TypeVariable {
	return []TypeVariable{
		{Name: "customer.name", Description: "The customer's name.", Example: "Maria Jansen"},
		{Name: "customer.company", Description: "The customer's company.", Example: "Example Ltd"},
		{Name: "customer.details", Description: "What the customer says the issue is.", Example: "Printer does not answer"},
	}
}

func ended() []TypeVariable {
	return []TypeVariable{
		{Name: "duration", Description: "How long the session lasted, in seconds.", Example: "1260"},
		{Name: "end_reason", Description: "Why it ended: `closed`, `timeout` or `lost`.", Example: "closed"},
	}
}

func owners() []TypeVariable {
	return []TypeVariable{
		{Name: "old_owner.username", Description: "Login name of who owned the session before; empty if nobody.", Example: "asmith"},
		{Name: "old_owner.display_name", Description: "Display name of who owned the session before.", Example: "Alex Smith"},
		{Name: "new_owner.username", Description: "Login name of who owns the session now.", Example: "joe12345"},
		{Name: "new_owner.display_name", Description: "Display name of who owns the session now.", Example: "Joe Miller"},
	}
}

func member(kinds, example string) []TypeVariable {
	return append([]TypeVariable{
		{"type", "Kind of member: " + kinds + ".", example, true},
		{"name", "The member's name.", "Joe Miller", true},
	}, account()...)
}

func account() []TypeVariable {
	return []TypeVariable{
		{"display_name", "Display name of the account.", "Joe", true},
		{"username", "Login name of the account; empty for a customer.", "joe12345", true},
		{"user_id", "Number of the account; empty for a customer.", "12345", true},
	}
}

func survey(who string) []TypeVariable {
	return []TypeVariable{
		{Name: "rating", Description: "The " + who + "'s rating, 1 to 5.", Example: "5"},
		{Name: "comment", Description: "The " + who + "'s comment.", Example: "Quick and friendly"},
		{Name: "answers", Description: "All questions and answers, an array as JSON text.",
			Example: `[{"question":"Was the issue solved?","answer":"yes"}]`},
	}
}
