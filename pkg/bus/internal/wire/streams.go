package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/process"
)

// StreamOptions are the bounds of the streams.
type StreamOptions struct {
	// EventsMaxBytes is how much EVENTS may hold, in bytes. Full means refused.
	EventsMaxBytes int64 `yaml:"eventsMaxBytes"`
	// HistoryMaxBytes is how much HISTORY may hold, in bytes. The oldest records go first.
	HistoryMaxBytes int64 `yaml:"historyMaxBytes"`
	// HistoryMaxRecords is how many records HISTORY may hold. The oldest go first.
	HistoryMaxRecords int64 `yaml:"historyMaxRecords"`
	// AuditMaxBytes is how much AUDIT may hold, in bytes. Full means that changes are refused.
	AuditMaxBytes int64 `yaml:"auditMaxBytes"`
	// AuditMaxAge is how long AUDIT keeps its entries.
	AuditMaxAge time.Duration `yaml:"auditMaxAge"`
	// Replicas of each stream, 1 or 3.
	Replicas int `yaml:"replicas"`
	// MustExist says that the streams have been made: if all of them are missing, the start fails instead of making them.
	MustExist bool `yaml:"mustExist"`
}

// DefaultStreamOptions holds 8 GiB of events and 500,000 records within 4 GiB, and a year of audit entries within 512 MiB, on one server.
func DefaultStreamOptions() StreamOptions {
	return StreamOptions{EventsMaxBytes: 8 << 30, HistoryMaxBytes: 4 << 30, HistoryMaxRecords: 500_000, AuditMaxBytes: 512 << 20,
		AuditMaxAge: 365 * 24 * time.Hour, Replicas: 1}
}

// Validate reports every fault at once.
func (o StreamOptions) Validate() error {
	var f process.Faults
	for _, x := range []struct {
		path  string
		value int64
		what  string
	}{
		{"eventsMaxBytes", o.EventsMaxBytes, "bytes, e.g. 8589934592"}, {"historyMaxBytes", o.HistoryMaxBytes, "bytes, e.g. 4294967296"},
		{"historyMaxRecords", o.HistoryMaxRecords, "records, e.g. 500000"}, {"auditMaxBytes", o.AuditMaxBytes, "bytes, e.g. 536870912"},
	} {
		if x.value < 1 {
			f.Add(x.path, "is %d: set it to a number of %s", x.value, x.what)
		}
	}
	if o.AuditMaxBytes > 0 && o.AuditMaxBytes < leastAudit {
		f.Add("auditMaxBytes", "is %d: use at least %d", o.AuditMaxBytes, leastAudit)
	}
	if o.AuditMaxAge < 24*time.Hour {
		f.Add("auditMaxAge", "is %s: use at least 24h, e.g. 8760h for a year", o.AuditMaxAge)
	}
	if o.Replicas != 1 && o.Replicas != 3 {
		f.Add("replicas", "is %d: use 1, or 3 on a cluster", o.Replicas)
	}
	return f.Err()
}

// leastAudit is the least that AUDIT may hold, in bytes: some thousand entries.
const leastAudit = 4 << 20

// eventsMaxAge is the longest retry duration (7 d) and a day.
const eventsMaxAge = 8 * 24 * time.Hour

// dedupeWindow is how long EVENTS knows a message id by itself; HISTORY knows it for longer.
const dedupeWindow = 10 * time.Minute

// historyMaxAge is how long HISTORY keeps a record at most.
const historyMaxAge = 7 * 24 * time.Hour

// checkpointBytes is how much CHECKPOINTS may hold: more than the entries of all records that HISTORY may hold, of about 70 bytes each, and
// a checkpoint of 2 KB for each minute of a week.
func checkpointBytes(o StreamOptions) int64 {
	const each, base = 128, 64 << 20
	return base + each*min(max(o.HistoryMaxRecords, 0), 1<<40)
}

func streamConfigs(o StreamOptions) []jetstream.StreamConfig {
	return []jetstream.StreamConfig{{
		Name:        names.StreamHistory,
		Description: "The delivery log: intake decisions and attempts.",
		Subjects:    []string{names.SubjectAttempt + ".>", names.SubjectIntake + ".>"},
		Storage:     jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxAge: historyMaxAge, MaxBytes: o.HistoryMaxBytes, MaxMsgs: o.HistoryMaxRecords, MaxMsgSize: 256 << 10,
		Duplicates: 2 * time.Minute, MaxConsumers: 1_000, AllowAtomicPublish: true, AllowDirect: true, Replicas: o.Replicas,
	}, {
		Name:        names.StreamNotices,
		Description: "Alert emails to be sent.",
		Subjects:    []string{names.SubjectNotices + ".*"},
		Storage:     jetstream.FileStorage, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
		MaxAge: 7 * 24 * time.Hour, MaxBytes: 256 << 20, MaxMsgSize: 512 << 10, Duplicates: 30 * time.Minute, AllowDirect: true,
		Replicas: o.Replicas,
	}, {
		Name:        names.StreamAudit,
		Description: "Who did what. Full means that changes are refused.",
		Subjects:    []string{names.SubjectAudit + ".>"},
		Storage:     jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxAge: o.AuditMaxAge, MaxBytes: o.AuditMaxBytes, MaxMsgSize: 256 << 10, Duplicates: 2 * time.Minute, AllowDirect: true,
		DenyDelete: true, DenyPurge: true, Replicas: o.Replicas,
	}, {
		Name:        names.StreamCheckpoints,
		Description: "The tree over the delivery log, and its signed checkpoints.",
		Subjects:    []string{names.SubjectCheckpoints},
		Storage:     jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxAge: historyMaxAge + 24*time.Hour, MaxBytes: checkpointBytes(o), MaxMsgSize: 512 << 10, Duplicates: 2 * time.Minute,
		AllowDirect: true, DenyDelete: true, DenyPurge: true, Replicas: o.Replicas,
	}, {
		Name:        names.StreamEvents,
		Description: "Accepted events and replays. Full means refused.",
		Subjects:    []string{names.SubjectEvents + ".*.*", names.SubjectReplay + ".*"},
		Storage:     jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxAge: eventsMaxAge, MaxBytes: o.EventsMaxBytes, MaxMsgSize: 512 << 10, Duplicates: dedupeWindow,
		MaxConsumers: 10_000, AllowAtomicPublish: true, AllowDirect: true, Replicas: o.Replicas,
	}}
}

// ErrDamaged says that the store lacks what it is known to have held. Nothing is made in its place until somebody has repaired it.
var ErrDamaged = errors.New("the broker's store is damaged")

// EnsureStreams makes the streams and buckets at a first start, and checks what is there. What is missing beside streams that exist has
// been lost: it is ErrDamaged, and nothing is made. A stream of ours with other subjects or another retention is an error, not repaired.
// So is a restore that has not finished. While the broker has no leader, or too few servers for the replicas, it is waited for until ctx
// ends.
func (c *Conn) EnsureStreams(ctx context.Context, o StreamOptions) error {
	w := newWaiting(c)
	defer w.end()
	var lost []string
	err := w.await(ctx, "the streams", func(ctx context.Context) (err error) {
		if err := RefuseUnfinishedRestore(ctx, c); err != nil {
			return err
		}
		lost, err = c.LostStreams(ctx, o)
		return err
	})
	if err != nil {
		return err
	}
	if len(lost) > 0 {
		return fmt.Errorf("%w: missing: %s: nothing was made in their place", ErrDamaged, strings.Join(lost, ", "))
	}
	return c.CreateStreams(ctx, o)
}

// RefuseUnfinishedRestore is an error if a restore has begun and not finished.
func RefuseUnfinishedRestore(ctx context.Context, c *Conn) error {
	unfinished, err := c.UnfinishedRestore(ctx)
	if err == nil && unfinished != "" {
		err = fmt.Errorf("the restore of %s has not finished, so the store is incomplete: run outbound restore again", unfinished)
	}
	return err
}

// UnfinishedRestore says what is being restored, or was and has not finished; empty: nothing.
func (c *Conn) UnfinishedRestore(ctx context.Context) (string, error) {
	s, err := c.JS.Stream(ctx, names.StreamRestore)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for an unfinished restore: %w", err)
	}
	return s.CachedInfo().Config.Description, nil
}

// CreateStreams is EnsureStreams that makes what is missing empty, for a repair and for a restore. EVENTS is made last: where it is, the
// others have been. It waits as EnsureStreams does.
func (c *Conn) CreateStreams(ctx context.Context, o StreamOptions) error {
	w := newWaiting(c)
	defer w.end()
	// What people change keeps its revisions, in the bucket itself, so that a change and its revision are one write.
	for _, b := range buckets() {
		err := w.await(ctx, "the bucket "+b.name, func(ctx context.Context) error {
			_, err := c.bucket(ctx, b.name, b.history, o.Replicas)
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, want := range streamConfigs(o) {
		if want.Name == names.StreamEvents {
			if err := streamsSynced(c); err != nil {
				return err
			}
		}
		err := w.await(ctx, "the stream "+want.Name, func(ctx context.Context) error { return ensureStream(ctx, c, want) })
		if err != nil {
			return err
		}
	}
	if err := streamsSynced(c); err != nil {
		return err
	}
	firstMeasure(ctx, c)
	return nil
}

// streamsSynced has the streams reach the disk, as far as it is this process that syncs.
func streamsSynced(c *Conn) error {
	if c.Disk == nil {
		return nil
	}
	return c.Disk.SyncStreams()
}

// ensureStream creates a stream or checks the one that is there.
func ensureStream(ctx context.Context, c *Conn, want jetstream.StreamConfig) error {
	s, err := c.JS.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if _, err = c.JS.CreateStream(ctx, want); err != nil {
			return fmt.Errorf("create stream %s: %w", want.Name, room(err, want))
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", want.Name, err)
	}
	have := s.CachedInfo().Config
	if fmt.Sprint(have.Subjects) != fmt.Sprint(want.Subjects) || have.Retention != want.Retention || have.Storage != want.Storage {
		return fmt.Errorf("stream %s was not created by Outbound (subjects %v, retention %v): rename or remove it", want.Name, have.Subjects,
			have.Retention)
	}
	if have.MaxBytes != want.MaxBytes || have.MaxMsgs != want.MaxMsgs || have.MaxAge != want.MaxAge ||
		have.Duplicates != want.Duplicates || have.MaxMsgSize != want.MaxMsgSize {
		if _, err = c.JS.UpdateStream(ctx, want); err != nil {
			return fmt.Errorf("update stream %s: %w", want.Name, room(err, want))
		}
	}
	return nil
}

// room adds to a refusal of the broker which limit is meant and what to do.
func room(err error, want jetstream.StreamConfig) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode {
	case codeClusterNoPeers:
		return fmt.Errorf("%w: %d are needed: %w", errNoPeers, want.Replicas, err)
	case codeReplicasNotSupported:
		return fmt.Errorf("%d replicas need a cluster of nats-servers: set streams.replicas to 1, or use a cluster: %w", want.Replicas, err)
	case codeStorageExceeded, codeAccountExceeded, codeMaxBytesExceeded, codeMaxBytesRequired:
		return fmt.Errorf("JetStream has no room for %d bytes: raise max_file_store of nats-server or the limits of the account, or lower "+
			"streams.eventsMaxBytes, streams.historyMaxBytes and streams.auditMaxBytes: %w", want.MaxBytes, err)
	case codeTooManyStreams, codeTooManyConsumers:
		return fmt.Errorf("the account's limits are below what Outbound needs, 9 streams and a consumer for each recipient: raise them: %w", err)
	default:
		return err
	}
}

type bucketSpec struct {
	name    string
	history uint8
}

func buckets() []bucketSpec {
	return []bucketSpec{{names.BucketRecipients, revisionsKept}, {names.BucketSettings, revisionsKept}, {names.BucketStatus, 1},
		{names.BucketReplays, 1}}
}

// StreamNames are all streams, those behind buckets included, in the order in which they are made.
func StreamNames() []string {
	var out []string
	for _, b := range buckets() {
		out = append(out, BucketStream(b.name))
	}
	for _, s := range streamConfigs(StreamOptions{}) {
		out = append(out, s.Name)
	}
	return out
}

// LostStreams names the streams that are missing although they have existed, except for later ones. EVENTS is made last and the others hold
// nothing before: what is missing beside EVENTS, or beside a message, has been lost. Else this is a first start, or one that was
// interrupted.
func (c *Conn) LostStreams(ctx context.Context, o StreamOptions) ([]string, error) {
	var missing []string
	used := o.MustExist
	for _, name := range StreamNames() {
		s, err := c.JS.Stream(ctx, name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			if !names.LaterStream(name) {
				missing = append(missing, name)
			}
		case err != nil:
			return nil, fmt.Errorf("look up stream %s: %w", name, err)
		default:
			used = used || name == names.StreamEvents || s.CachedInfo().State.LastSeq > 0
		}
	}
	if !used {
		return nil, nil
	}
	return missing, nil
}

// streamList is a page of the answer to a request on $JS.API.STREAM.LIST. The client library leaves out which streams are missing.
type streamList struct {
	Total   int                     `json:"total"`
	Streams []*jetstream.StreamInfo `json:"streams"`
	Missing []string                `json:"missing"`
	Error   *jetstream.APIError     `json:"error"`
}

// ListStreams lists all streams. A stream that has no leader now, so that nothing is known of it, makes the whole a temporary error,
// which is repeated as Again says.
func ListStreams(ctx context.Context, c *Conn) ([]*jetstream.StreamInfo, error) {
	return Again(ctx, c, func(ctx context.Context) (out []*jetstream.StreamInfo, err error) {
		for {
			page, err := listStreams(ctx, c, len(out))
			if err != nil {
				return nil, fmt.Errorf("list the streams: %w", err)
			}
			out = append(out, page.Streams...)
			if len(page.Streams) == 0 || len(out) >= page.Total {
				return out, nil
			}
		}
	})
}

func listStreams(ctx context.Context, c *Conn, offset int) (page streamList, err error) {
	m, err := c.NC.RequestWithContext(ctx, "$JS.API.STREAM.LIST", fmt.Appendf(nil, `{"offset":%d}`, offset))
	if err != nil {
		return page, err
	}
	if err := json.Unmarshal(m.Data, &page); err != nil {
		return page, err
	}
	if page.Error != nil {
		return page, page.Error
	}
	for _, s := range page.Streams {
		if s.Cluster != nil && s.Cluster.Leader == "" {
			page.Missing = append(page.Missing, s.Config.Name)
		}
	}
	if len(page.Missing) > 0 {
		return page, fmt.Errorf("%w %s", errNoLeader, strings.Join(page.Missing, ", "))
	}
	return page, nil
}

// BucketStream is the stream behind a bucket, as JetStream names it.
func BucketStream(name string) string { return "KV_" + name }

// BucketSubject is where a bucket keeps a key.
func BucketSubject(name, key string) string { return "$KV." + name + "." + key }

// replaysKept is how long a replay is kept after it was last written.
const replaysKept = 30 * 24 * time.Hour

// EventsKept is how long EVENTS keeps a message at most.
const EventsKept = eventsMaxAge
