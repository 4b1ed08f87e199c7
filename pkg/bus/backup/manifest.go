package backup

import (
	"errors"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// format is the version of the file's structure. A reader refuses a later one.
const format = 1

// SealPlace is what Header.SealCheck is sealed for, and what is sealed.
const SealPlace = "backup"

// AuditKey is the key in the bucket of settings whose revisions say who took and who restored backups. It has no value.
const AuditKey = "backups"

// ErrDamaged says that a file is not a whole backup.
var ErrDamaged = errors.New("is damaged or incomplete")

// Header says what a backup is. It is the first member of the file.
type Header struct {
	// Format is the version of the file's structure.
	Format int `json:"format"`
	// Version is the release of Outbound that wrote it.
	Version string `json:"version"`
	// CreateTime is when it began.
	CreateTime time.Time `json:"createTime"`
	// Deliveries says that queues and delivery log are in it.
	Deliveries bool `json:"deliveries"`
	// Sealed names what has sealed secrets, e.g. recipients/ticket-system.
	Sealed []string `json:"sealed,omitempty"`
	// SealCheck is a value sealed with the key of the system, which tells whether another key is the same.
	SealCheck []byte `json:"sealCheck,omitempty"`
}

// Manifest says what a backup holds. It is the last member but one.
type Manifest struct {
	Header
	// EventsSequence is the last sequence of EVENTS. Queues are as of this event.
	EventsSequence uint64 `json:"eventsSequence"`
	// HistorySequence is the last sequence of HISTORY before EVENTS was read. What follows may be of events that are not there.
	HistorySequence uint64 `json:"historySequence"`
	// Parts are in the order in which they were read.
	Parts []Part `json:"parts"`
}

// Part is a stream or a bucket in a backup.
type Part struct {
	// Name is the stream's, or the bucket's.
	Name string `json:"name"`
	// Messages and Bytes are what it holds in the store, Consumers how many durable consumers it has.
	Messages  uint64 `json:"messages"`
	Bytes     uint64 `json:"bytes"`
	Consumers int    `json:"consumers"`
	// FileBytes and SHA256 are the size and the checksum (hexadecimal) of its snapshot in the file, Pieces is in how many members.
	FileBytes int64  `json:"fileBytes"`
	Pieces    int    `json:"pieces"`
	SHA256    string `json:"sha256"`
}

// source is a part of the system.
type source struct {
	name, stream string
	// deliveries says that it is of the queues and the delivery log; else it is of the configuration.
	deliveries bool
	// consumers says that its consumers belong to it: they hold who has what. Others have only those of readers.
	consumers bool
	// kept says that a restore leaves it as it is if it holds something.
	kept bool
}

// sources are all parts in the order in which they are read.
func sources() []source {
	return []source{
		{name: names.BucketRecipients, stream: wire.BucketStream(names.BucketRecipients)},
		{name: names.BucketSettings, stream: wire.BucketStream(names.BucketSettings)},
		{name: names.StreamAudit, stream: names.StreamAudit, kept: true},
		{name: names.BucketStatus, stream: wire.BucketStream(names.BucketStatus), deliveries: true},
		{name: names.BucketReplays, stream: wire.BucketStream(names.BucketReplays), deliveries: true},
		{name: names.StreamCheckpoints, stream: names.StreamCheckpoints, deliveries: true},
		{name: names.StreamEvents, stream: names.StreamEvents, deliveries: true, consumers: true},
		{name: names.StreamNotices, stream: names.StreamNotices, deliveries: true, consumers: true},
		{name: names.StreamHistory, stream: names.StreamHistory, deliveries: true},
	}
}
