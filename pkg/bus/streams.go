package bus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// The names of streams, buckets and subjects. This file is their only address.
const (
	StreamEvents  = "EVENTS"
	StreamHistory = "HISTORY"
	StreamNotices = "NOTICES"

	BucketRecipients = "outbound_recipients"
	BucketSettings   = "outbound_settings"
	BucketStatus     = "outbound_status"
	// BucketReplays keeps replays and how far they are.
	BucketReplays = "outbound_replays"

	subjectIngest  = "outbound.ingest"
	subjectEvents  = "outbound.events"
	subjectReplay  = "outbound.replay"
	subjectAttempt = "outbound.history.attempt"
	subjectIntake  = "outbound.history.intake"
	subjectNotices = "outbound.notices"
	// subjectDoctor is where HTTP senders are asked to walk the way to a recipient. No stream keeps it.
	subjectDoctor = "outbound.doctor"
	// subjectPing is where all processes are asked who they are. No stream keeps it.
	subjectPing = "outbound.ping"
	// subjectExpedite is where the senders of a channel hear of recipients that are to be tried at once. No stream keeps it.
	subjectExpedite = "outbound.wake"
	// subjectTestMail is where email senders are asked for test mails. No stream keeps it.
	subjectTestMail = "outbound.testmail"

	// IngestSubject is what the intake service listens on: `outbound.ingest.<appliance>.<event type>`.
	IngestSubject = subjectIngest + ".*.*"
)

// AckWait is how long the broker waits for a delivery to be settled before it gives it out again. One constant for all
// consumers: changing it on a live consumer would shift every outstanding delay. It must exceed every sender's timeout.
const AckWait = 45 * time.Second

// maxFilters is how many filter subjects a consumer may have before it filters by type alone.
const maxFilters = 64

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
		Name:        StreamEvents,
		Description: "Accepted events and replays. Full means refused.",
		Subjects:    []string{subjectEvents + ".*.*", subjectReplay + ".*"},
		Storage:     jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxAge: eventsMaxAge, MaxBytes: o.EventsMaxBytes, MaxMsgSize: 512 << 10, Duplicates: dedupeWindow,
		MaxConsumers: 10_000, AllowAtomicPublish: true, AllowDirect: true, Replicas: o.Replicas,
	}, {
		Name:        StreamHistory,
		Description: "The delivery log: intake decisions and attempts.",
		Subjects:    []string{subjectAttempt + ".>", subjectIntake + ".>"},
		Storage:     jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxAge: 7 * 24 * time.Hour, MaxBytes: o.HistoryMaxBytes, MaxMsgs: o.HistoryMaxRecords, MaxMsgSize: 256 << 10,
		Duplicates: 2 * time.Minute, MaxConsumers: 1_000, AllowAtomicPublish: true, AllowDirect: true, Replicas: o.Replicas,
	}, {
		Name:        StreamNotices,
		Description: "Alert emails to be sent.",
		Subjects:    []string{subjectNotices + ".*"},
		Storage:     jetstream.FileStorage, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
		MaxAge: 7 * 24 * time.Hour, MaxBytes: 256 << 20, MaxMsgSize: 512 << 10, Duplicates: 30 * time.Minute, AllowDirect: true, Replicas: o.Replicas,
	}}
}

// EnsureStreams creates what is missing of the streams and buckets, and checks what is there: a stream of ours with other
// subjects or another retention is an error, not repaired.
func (c *Conn) EnsureStreams(ctx context.Context, o StreamOptions) error {
	for _, want := range streamConfigs(o) {
		s, err := c.js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			if _, err = c.js.CreateStream(ctx, want); err != nil {
				return fmt.Errorf("create stream %s: %w", want.Name, err)
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("look up stream %s: %w", want.Name, err)
		}
		have := s.CachedInfo().Config
		if fmt.Sprint(have.Subjects) != fmt.Sprint(want.Subjects) || have.Retention != want.Retention || have.Storage != want.Storage {
			return fmt.Errorf("stream %s was not created by Outbound (subjects %v, retention %v): rename or remove it", want.Name, have.Subjects, have.Retention)
		}
		if have.MaxBytes != want.MaxBytes || have.MaxMsgs != want.MaxMsgs || have.MaxAge != want.MaxAge || have.Duplicates != want.Duplicates || have.MaxMsgSize != want.MaxMsgSize {
			if _, err = c.js.UpdateStream(ctx, want); err != nil {
				return fmt.Errorf("update stream %s: %w", want.Name, err)
			}
		}
	}
	// What people change keeps its revisions, in the bucket itself, so that a change and its revision are one write.
	for b, history := range map[string]uint8{BucketRecipients: revisionsKept, BucketSettings: revisionsKept, BucketStatus: 1, BucketReplays: 1} {
		if _, err := c.bucket(ctx, b, history, o.Replicas); err != nil {
			return err
		}
	}
	return nil
}

// bucketStream is the stream behind a bucket, as JetStream names it.
func bucketStream(name string) string { return "KV_" + name }

// bucketSubject is where a bucket keeps a key.
func bucketSubject(name, key string) string { return "$KV." + name + "." + key }

// IngestSubjectOf is where an appliance publishes an event of a type.
func IngestSubjectOf(appliance, eventType string) string {
	return subjectIngest + "." + appliance + "." + eventType
}

// ApplianceSubjects is all that an appliance may publish to.
func ApplianceSubjects(appliance string) string { return subjectIngest + "." + appliance + ".>" }

func eventSubject(appliance, eventType string) string {
	return subjectEvents + "." + appliance + "." + eventType
}

// ConsumerName is the durable consumer of a recipient.
func ConsumerName(ch recipient.Channel, id string) string { return string(ch) + "-" + id }

// filterSubjects is what a recipient's consumer gets: its types of its appliances, and its replays.
func filterSubjects(r *recipient.Recipient) []string {
	appliances := r.Appliances
	if len(appliances) == 0 || len(appliances)*len(r.EventTypes) > maxFilters {
		appliances = []string{"*"}
	}
	out := make([]string, 0, len(appliances)*len(r.EventTypes)+1)
	for _, a := range appliances {
		for _, t := range r.EventTypes {
			out = append(out, eventSubject(a, t))
		}
	}
	return append(out, subjectReplay+"."+r.ID)
}

// token makes a subject token of a value that may be empty.
func token(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// hashToken makes a subject token of any text, so that equal texts have equal tokens.
func hashToken(s string) string {
	if s == "" {
		return "-"
	}
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:8])
}
