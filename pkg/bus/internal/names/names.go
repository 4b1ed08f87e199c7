package names

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// The names of streams, buckets and subjects. This file is their only address.
const (
	StreamEvents  = "EVENTS"
	StreamHistory = "HISTORY"
	StreamNotices = "NOTICES"
	StreamAudit   = "AUDIT"
	// StreamCheckpoints holds the tree over HISTORY and its signed checkpoints.
	StreamCheckpoints = "CHECKPOINTS"
	// StreamRestore is there while a restore has not finished. Its description says which.
	StreamRestore = "OUTBOUND_RESTORE"

	BucketRecipients = "outbound_recipients"
	BucketSettings   = "outbound_settings"
	BucketStatus     = "outbound_status"
	// BucketReplays keeps replays and how far they are.
	BucketReplays = "outbound_replays"
	// KeyForgetting is a key in the bucket of recipients. It is there while values of keys are removed on purpose.
	KeyForgetting = "mark.forgetting"
	// KeyGivenUp is a key in the bucket of settings. It is there if the secrets that cannot be opened are given up.
	KeyGivenUp = "keyring-given-up"

	subjectIngest  = "outbound.ingest"
	SubjectEvents  = "outbound.events"
	SubjectReplay  = "outbound.replay"
	SubjectAttempt = "outbound.history.attempt"
	SubjectIntake  = "outbound.history.intake"
	SubjectNotices = "outbound.notices"
	SubjectAudit   = "outbound.audit"
	// SubjectCheckpoints is where segments of the tree over HISTORY are stored.
	SubjectCheckpoints = "outbound.checkpoints"
	// SubjectDoctor is where HTTP senders are asked to walk the way to a recipient. No stream keeps it.
	SubjectDoctor = "outbound.doctor"
	// SubjectPing is where all processes are asked who they are. No stream keeps it.
	SubjectPing = "outbound.ping"
	// SubjectExpedite is where the senders of a channel hear of recipients that are to be tried at once. No stream keeps it.
	SubjectExpedite = "outbound.wake"
	// SubjectTestMail is where email senders are asked for test mails. No stream keeps it.
	SubjectTestMail = "outbound.testmail"

	// SubjectPull is where HTTP senders are asked for deliveries that a receiver pulls, SubjectAcknowledge where they are told what it has.
	// No stream keeps them.
	SubjectPull        = "outbound.pull"
	SubjectAcknowledge = "outbound.acknowledge"

	// SubjectRestore is the subject of StreamRestore, which nobody publishes to.
	SubjectRestore = "outbound.restore"

	// SubjectSelection is where changes of what recipients select stand in EVENTS. It is among the subjects of replays, but no recipient's:
	// EVENTS has had them from the first release on, and who does not know of it passes over it.
	SubjectSelection = SubjectReplay + ".~"

	// IngestSubject is what the ingest service listens on: `outbound.ingest.<appliance>.<event type>`.
	IngestSubject = subjectIngest + ".*.*"
	// IngestDottedSubject is what it listens on for types of several tokens: `outbound.ingest.<appliance>.com.example.ended`.
	IngestDottedSubject = IngestSubject + ".>"
	// IngestExport is both: what appliances' accounts import.
	IngestExport = subjectIngest + ".*.>"
)

// AckWait is how long the broker waits for a delivery to be settled before it gives it out again. One constant for all
// consumers: changing it on a live consumer would shift every outstanding delay. It must exceed every sender's timeout.
const AckWait = 45 * time.Second

// maxFilters is how many filter subjects a consumer may have before it filters by type alone.
const maxFilters = 64

// IngestSubjectOf is where an appliance publishes an event of a type.
func IngestSubjectOf(appliance, eventType string) string {
	return subjectIngest + "." + appliance + "." + eventType
}

// LaterStream reports whether a stream is of a later release than the others: a store without it may be an older one's. Who knows what
// the store held compares with that.
func LaterStream(name string) bool { return name == StreamAudit || name == StreamCheckpoints }

// AuditSubject is where the entry of an action is stored.
func AuditSubject(action string) string { return SubjectAudit + "." + Token(action) }

// FromIngestSubject takes an intake's subject apart: the appliance, and all that follows, which names a type.
func FromIngestSubject(subject string) (appliance, eventType string) {
	rest, _ := strings.CutPrefix(subject, subjectIngest+".")
	appliance, eventType, _ = strings.Cut(rest, ".")
	return appliance, eventType
}

// ApplianceSubjects is all that an appliance may publish to.
func ApplianceSubjects(appliance string) string { return subjectIngest + "." + appliance + ".>" }

// ApplianceDenied are the subjects that an appliance may not subscribe to.
func ApplianceDenied() []string {
	return []string{"outbound.>", "$SYS.>", "$JS.>", "$KV.>", "$O.>", "$SRV.>", "_R_.>"}
}

// EventSubject is where an accepted event of a type is stored.
func EventSubject(appliance, eventType string) string {
	return SubjectEvents + "." + appliance + "." + eventType
}

// ConsumerName is the durable consumer of a recipient.
func ConsumerName(ch recipient.Channel, id string) string { return string(ch) + "-" + id }

// CountingName is a consumer by which a sender of a channel counts what EVENTS holds, while that is much. It is not durable.
func CountingName(ch recipient.Channel, unique string) string {
	return "count_" + string(ch) + "_" + unique
}

// FilterAppliances are the appliances that a recipient's consumer is given events of; nil: all.
func FilterAppliances(r *recipient.Recipient) []string {
	if len(r.Appliances)*len(r.EventTypes) > maxFilters {
		return nil
	}
	return r.Appliances
}

// Published are the appliance and the type of a subject that events are stored at; empty: it is another one.
func Published(subject string) (appliance, eventType string) {
	rest, ok := strings.CutPrefix(subject, SubjectEvents+".")
	if !ok {
		return "", ""
	}
	appliance, eventType, _ = strings.Cut(rest, ".")
	return appliance, eventType
}

// FilterSubjects is what a recipient's consumer gets: its types of its appliances, and its replays.
func FilterSubjects(r *recipient.Recipient) []string {
	appliances := FilterAppliances(r)
	if len(appliances) == 0 {
		appliances = []string{"*"}
	}
	out := make([]string, 0, len(appliances)*len(r.EventTypes)+1)
	for _, a := range appliances {
		for _, t := range r.EventTypes {
			out = append(out, EventSubject(a, t))
		}
	}
	return append(out, SubjectReplay+"."+r.ID)
}

// Token makes a subject token of a value that may be empty.
func Token(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// HashToken makes a subject token of any text, so that equal texts have equal tokens.
func HashToken(s string) string {
	if s == "" {
		return "-"
	}
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:8])
}

// OrWildcard is a subject token, or the wildcard for any.
func OrWildcard(s string) string {
	if s == "" {
		return "*"
	}
	return s
}
