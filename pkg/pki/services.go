package pki

// The services, as their identities and the rules of gRPC name them.
const (
	ServiceConfig      = "config"
	ServiceIngest      = "ingest"
	ServiceHistory     = "history"
	ServiceHTTPSender  = "http-sender"
	ServiceEmailSender = "email-sender"
	// ServiceConsole signs people in and acts for them.
	ServiceConsole = "console"
	// ServiceShared is whoever holds the service token, where the console has a token or a certificate of its own.
	ServiceShared = "service token"
	// ServiceAny is whoever holds the service token where the console has neither a token nor a certificate of its own: it may do what any
	// service may, and act for users.
	ServiceAny = "any"
)

// ServiceNames are the services that have an identity, in the order of a table.
func ServiceNames() []string {
	return []string{ServiceConfig, ServiceIngest, ServiceHistory, ServiceHTTPSender, ServiceEmailSender, ServiceConsole}
}
