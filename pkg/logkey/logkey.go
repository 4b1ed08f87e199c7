// Package logkey names the keys of log lines for the domain and the libraries, which do not know package telemetry, and those that
// are of log lines alone. Package telemetry has the keys that metrics and traces use too.
package logkey

// Keys of log lines. One thing has one key everywhere.
const (
	Error      = "error"
	Recipient  = "recipient"
	Recipients = "recipients"
	Kind       = "kind"
	Addresses  = "addresses"
	Notice     = "notice"
	About      = "about"
	Of         = "of"
	Subject    = "subject"
	Folder     = "folder"
	Actor      = "actor"
	Bytes      = "bytes"
	URL        = "url"
	Bucket     = "bucket"
	Messages   = "messages"
	Records    = "records"
	Events     = "events"
	Replicas   = "replicas"
	Watch      = "watch"
	Server     = "server"
	Stack      = "stack"
	Link       = "link"
	HTTP       = "http"
	GRPC       = "grpc"
	NATS       = "nats"
	Data       = "data"
	Changed    = "changed"
	Other      = "other"
	Left       = "left"
	LeftOut    = "left_out"
	Refused    = "refused"
	Copied     = "copied"
	Looked     = "looked"
	Recorded   = "recorded"
	From       = "from"
	Until      = "until"
	Again      = "again"
	// Waited and Duration are durations as text.
	Waited   = "waited"
	Duration = "took"
	// Through, Told and Last are sequences in a stream.
	Through = "through"
	Told    = "told"
	Last    = "last"
	// Was and Is are the states before and after a change.
	Was = "was"
	Is  = "is"
)
