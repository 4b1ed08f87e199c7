package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
)

// StreamOptions are the bounds of the streams.
type StreamOptions struct {
	// EventsMaxBytes is how much EVENTS may hold, in bytes. Full means refused.
	EventsMaxBytes int64 `yaml:"eventsMaxBytes"`
	// HistoryMaxBytes is how much HISTORY may hold, in bytes. The oldest records go first.
	HistoryMaxBytes int64 `yaml:"historyMaxBytes"`
	// HistoryMaxRecords is how many records HISTORY may hold. The oldest go first.
	HistoryMaxRecords int64 `yaml:"historyMaxRecords"`
	// Replicas of each stream, 1 or 3.
	Replicas int `yaml:"replicas"`
}

// DefaultStreamOptions holds 8 GiB of events and 500,000 records within 4 GiB, on one server.
func DefaultStreamOptions() StreamOptions {
	return StreamOptions{EventsMaxBytes: 8 << 30, HistoryMaxBytes: 4 << 30, HistoryMaxRecords: 500_000, Replicas: 1}
}

// eventsMaxAge is the longest retry duration (7 d) and a day.
const eventsMaxAge = 8 * 24 * time.Hour

// dedupeWindow is how long EVENTS knows a message id by itself; HISTORY knows it for longer.
const dedupeWindow = 10 * time.Minute

func streamConfigs(o StreamOptions) []jetstream.StreamConfig {
	return []jetstream.StreamConfig{{
		Name:        names.StreamEvents,
		Description: "Accepted events and replays. Full means refused.",
		Subjects:    []string{names.SubjectEvents + ".*.*", names.SubjectReplay + ".*"},
		Storage:     jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxAge: eventsMaxAge, MaxBytes: o.EventsMaxBytes, MaxMsgSize: 512 << 10, Duplicates: dedupeWindow,
		MaxConsumers: 10_000, AllowAtomicPublish: true, AllowDirect: true, Replicas: o.Replicas,
	}, {
		Name:        names.StreamHistory,
		Description: "The delivery log: intake decisions and attempts.",
		Subjects:    []string{names.SubjectAttempt + ".>", names.SubjectIntake + ".>"},
		Storage:     jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxAge: 7 * 24 * time.Hour, MaxBytes: o.HistoryMaxBytes, MaxMsgs: o.HistoryMaxRecords, MaxMsgSize: 256 << 10,
		Duplicates: 2 * time.Minute, MaxConsumers: 1_000, AllowAtomicPublish: true, AllowDirect: true, Replicas: o.Replicas,
	}, {
		Name:        names.StreamNotices,
		Description: "Alert emails to be sent.",
		Subjects:    []string{names.SubjectNotices + ".*"},
		Storage:     jetstream.FileStorage, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
		MaxAge: 7 * 24 * time.Hour, MaxBytes: 256 << 20, MaxMsgSize: 512 << 10, Duplicates: 30 * time.Minute, AllowDirect: true,
		Replicas: o.Replicas,
	}}
}

// EnsureStreams creates what is missing of the streams and buckets, and checks what is there: a stream of ours with other
// subjects or another retention is an error, not repaired. While the broker has no leader, or too few servers for the replicas, it is
// waited for until ctx ends.
func (c *Conn) EnsureStreams(ctx context.Context, o StreamOptions) error {
	w := c.waiting()
	defer w.end()
	for _, want := range streamConfigs(o) {
		err := w.await(ctx, "the stream "+want.Name, func(ctx context.Context) error { return c.ensureStream(ctx, want) })
		if err != nil {
			return err
		}
	}
	// What people change keeps its revisions, in the bucket itself, so that a change and its revision are one write.
	for b, history := range map[string]uint8{names.BucketRecipients: revisionsKept, names.BucketSettings: revisionsKept,
		names.BucketStatus: 1, names.BucketReplays: 1} {
		err := w.await(ctx, "the bucket "+b, func(ctx context.Context) error {
			_, err := c.bucket(ctx, b, history, o.Replicas)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ensureStream creates a stream or checks the one that is there.
func (c *Conn) ensureStream(ctx context.Context, want jetstream.StreamConfig) error {
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
			"streams.eventsMaxBytes and streams.historyMaxBytes: %w", want.MaxBytes, err)
	case codeTooManyStreams, codeTooManyConsumers:
		return fmt.Errorf("the account's limits are below what Outbound needs, 7 streams and a consumer for each recipient: raise them: %w", err)
	default:
		return err
	}
}

// BucketStream is the stream behind a bucket, as JetStream names it.
func BucketStream(name string) string { return "KV_" + name }

// BucketSubject is where a bucket keeps a key.
func BucketSubject(name, key string) string { return "$KV." + name + "." + key }

// replaysKept is how long a replay is kept after it was last written.
const replaysKept = 30 * 24 * time.Hour

// EventsKept is how long EVENTS keeps a message at most.
const EventsKept = eventsMaxAge
