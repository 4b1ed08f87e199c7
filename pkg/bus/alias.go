package bus

import (
	"context"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// What the packages below this one build on is in internal/wire. These are the parts that others use.
type (
	// Conn is a connection to the broker.
	Conn = wire.Conn
	// Options say how to connect.
	Options = wire.Options
	// Disk syncs what an embedded broker writes.
	Disk = wire.Disk
	// InProcessServer is a broker in this process.
	InProcessServer = wire.InProcessServer
	// VersionError says that a server is older than MinServerVersion.
	VersionError = wire.VersionError
	// StreamOptions are the bounds of the streams.
	StreamOptions = wire.StreamOptions
	// Receipt is what the broker answers for a stored message.
	Receipt = wire.Receipt
	// Bucket is a bucket of keys and values with revisions.
	Bucket = wire.Bucket
	// Entry is the value of a key at a revision.
	Entry = wire.Entry
	// Change is one revision of a key.
	Change = wire.Change
	// StoreWatch watches whether the broker stores what it is given.
	StoreWatch = wire.StoreWatch
	// StoreFault is why the broker's store takes nothing.
	StoreFault = wire.StoreFault
	// Note says who made a change, and what it was.
	Note = wire.Note
)

// The streams and buckets.
const (
	StreamEvents      = names.StreamEvents
	StreamHistory     = names.StreamHistory
	StreamNotices     = names.StreamNotices
	StreamAudit       = names.StreamAudit
	StreamCheckpoints = names.StreamCheckpoints
	BucketRecipients  = names.BucketRecipients
	BucketSettings    = names.BucketSettings
	BucketStatus      = names.BucketStatus
	BucketReplays     = names.BucketReplays
	// KeyGivenUp is a key in the bucket of settings. See storecheck.GiveUpSecrets.
	KeyGivenUp = names.KeyGivenUp
	// IngestSubject is what the ingest service listens on.
	IngestSubject = names.IngestSubject
	// MinServerVersion is the oldest nats-server that Outbound works with.
	MinServerVersion = wire.MinServerVersion
	// IngestDottedSubject is what it listens on for types of several tokens.
	IngestDottedSubject = names.IngestDottedSubject
	// IngestExport is both: what appliances' accounts import.
	IngestExport = names.IngestExport
	// AckWait is how long a message may be out before it is handed out again.
	AckWait = names.AckWait
	// EventsKept is how long EVENTS keeps a message at most.
	EventsKept = wire.EventsKept
)

// Errors of the broker. Compare with errors.Is.
var (
	ErrFull     = wire.ErrFull
	ErrClosed   = wire.ErrClosed
	ErrGivenUp  = wire.ErrGivenUp
	ErrNotFound = wire.ErrNotFound
	ErrExists   = wire.ErrExists
	ErrConflict = wire.ErrConflict
	// ErrNotSynced says that nothing can be made durable until the store is opened again.
	ErrNotSynced = wire.ErrNotSynced
	// ErrDamaged says that the store lacks what it is known to have held.
	ErrDamaged = wire.ErrDamaged
)

// Why the broker's store takes nothing: the reasons of StoreFault.
const (
	StoreFull   = wire.StoreFull
	StoreFailed = wire.StoreFailed
	StoreSlow   = wire.StoreSlow
)

// NewStoreWatch makes a watch of the broker's store. See StoreWatch.
func NewStoreWatch(main *Conn, changed func(*StoreFault)) *StoreWatch {
	return wire.NewStoreWatch(main, changed)
}

// RemovedError is an ErrNotFound of a key whose removal is recorded.
type RemovedError = wire.RemovedError

// Connect connects to a broker. See Options.
func Connect(ctx context.Context, o Options) (*Conn, error) { return wire.Connect(ctx, o) }

// Unanswered are the errors that say that the broker does not answer now. The same call may succeed later.
func Unanswered() []error { return wire.Unanswered() }

// DefaultStreamOptions are the bounds that hold if none are given.
func DefaultStreamOptions() StreamOptions { return wire.DefaultStreamOptions() }

// ConsumerName is the durable consumer of a recipient.
func ConsumerName(ch recipient.Channel, id string) string { return names.ConsumerName(ch, id) }

// IngestSubjectOf is where an appliance publishes events of a type.
func IngestSubjectOf(appliance, eventType string) string {
	return names.IngestSubjectOf(appliance, eventType)
}

// FromIngestSubject takes an intake's subject apart: the appliance, and all that follows, which names a type.
func FromIngestSubject(subject string) (appliance, eventType string) {
	return names.FromIngestSubject(subject)
}

// ApplianceDenied are the subjects that an appliance may not subscribe to. It may to all others, so that its inbox may have any prefix.
func ApplianceDenied() []string { return names.ApplianceDenied() }

// ApplianceSubjects are the subjects that an appliance may publish to.
func ApplianceSubjects(appliance string) string { return names.ApplianceSubjects(appliance) }
