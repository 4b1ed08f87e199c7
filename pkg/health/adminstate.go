package health

import (
	"time"
)

// Silence is an appliance that publishes nothing for longer than it may.
type Silence struct {
	Appliance string `json:"appliance"`
	Name      string `json:"name,omitempty"`
	// Since is when its last event was accepted. If none is known, Never, it is from when on none was.
	Since time.Time `json:"since"`
	Never bool      `json:"never,omitempty"`
	// Until is when it published again.
	Until time.Time `json:"until,omitzero"`
	// After is how long it may be silent.
	After time.Duration `json:"after"`
}

// Key tells one silence of an appliance from the next.
func (s Silence) Key() string { return s.Since.UTC().Format(time.RFC3339Nano) }

// ReadKey is when the silence with a key began; zero if it is none.
func ReadKey(key string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, key)
	if err != nil {
		return time.Time{}
	}
	return t
}

// StorageUse is how full a stream is.
type StorageUse struct {
	Stream   string `json:"stream"`
	Bytes    uint64 `json:"bytes"`
	MaxBytes uint64 `json:"maxBytes"`
	// Longest are the longest queues that wait in it.
	Longest []QueueLength `json:"longest,omitempty"`
}

// Percent is how much of a stream is used.
func (f StorageUse) Percent() int {
	if f.MaxBytes == 0 {
		return 0
	}
	return int(float64(f.Bytes) * 100 / float64(f.MaxBytes))
}

// QueueLength is what waits for a recipient.
type QueueLength struct {
	Recipient string    `json:"recipient"`
	Name      string    `json:"name"`
	Waiting   int64     `json:"waiting"`
	Oldest    time.Time `json:"oldest,omitzero"`
}

// Daily is how a day went.
type Daily struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	// Relay is the relay's state in a line; empty: it is not known.
	Relay string `json:"relay,omitempty"`
	// Recipients, those that need attention first.
	Recipients []Day `json:"recipients,omitempty"`
	// Silent are the appliances that are silent for too long, of Appliances.
	Silent     []Silence    `json:"silent,omitempty"`
	Appliances int          `json:"appliances"`
	Streams    []StorageUse `json:"streams,omitempty"`
	// Attention is what else needs attention, in sentences.
	Attention []string `json:"attention,omitempty"`
}

// Day is how a recipient fared in a day.
type Day struct {
	QueueLength
	// Health in a word, as the API spells it.
	Health    string `json:"health"`
	Delivered int64  `json:"delivered"`
	// Failed counts failed attempts and deliveries given up.
	Failed int64 `json:"failed"`
	// Since and Error tell of a failure that lasts.
	Since time.Time `json:"since,omitzero"`
	Error string    `json:"error,omitempty"`
}

// AlertState remembers what the admin contacts have been told, so that of several processes one tells it, and once.
type AlertState struct {
	// Of tells one occurrence from the next: a day, or when a silence began.
	Of string `json:"of"`
	// Over says that its end is what is told.
	Over bool `json:"over,omitempty"`
	// At is when a process took it upon itself to tell, Told says that it has done so. If it has died, another one does.
	At       time.Time `json:"at"`
	Notified bool      `json:"told"`
}
