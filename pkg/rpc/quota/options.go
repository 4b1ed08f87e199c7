package quota

import (
	"time"

	"github.com/outbound-events/outbound/pkg/process"
)

// Options are how much of a gRPC server, and of REST in front of it, one caller and all callers may use. A caller is a user, an API
// token, the admin token, or, where no token is needed, an address. Other services of the installation are not limited.
type Options struct {
	// StreamsPerConnection is how many calls one connection may have open; more wait in the client (RFC 9113, 5.1.2).
	StreamsPerConnection int `yaml:"streamsPerConnection"`
	// StreamsPerCaller is how many watches and tails one caller may have open, Streams how many all callers may.
	StreamsPerCaller int `yaml:"streamsPerCaller"`
	Streams          int `yaml:"streams"`
	// RequestTimeout is how long a call may take to send its request.
	RequestTimeout time.Duration `yaml:"requestTimeout"`
	// PreviewsPerMinute is how many previews and checks of changes one caller may ask for, and how many filter tests.
	PreviewsPerMinute int `yaml:"previewsPerMinute"`
	// FilterTestShare is the percentage of the time in which filter tests may run, one at a time.
	FilterTestShare int `yaml:"filterTestShare"`
	// SearchesPerMinute is how many lists of events and deliveries one caller may ask for, Searches how many run at once.
	SearchesPerMinute int `yaml:"searchesPerMinute"`
	Searches          int `yaml:"searches"`
	// TestsPerMinute is how many test events, test emails and diagnoses one caller may ask for.
	TestsPerMinute int `yaml:"testsPerMinute"`
}

// DefaultOptions are enough for a team of people and their scripts.
func DefaultOptions() Options {
	return Options{
		StreamsPerConnection: 1000, StreamsPerCaller: 100, Streams: 1000, RequestTimeout: 30 * time.Second,
		PreviewsPerMinute: 240, FilterTestShare: 10, SearchesPerMinute: 6000, Searches: 8, TestsPerMinute: 120,
	}
}

// Validate reports every fault at once.
func (o Options) Validate() error {
	var f process.Faults
	for _, x := range []struct {
		name        string
		value, most int
	}{
		{"streamsPerConnection", o.StreamsPerConnection, 100_000}, {"streamsPerCaller", o.StreamsPerCaller, 100_000},
		{"streams", o.Streams, 100_000}, {"previewsPerMinute", o.PreviewsPerMinute, 100_000}, {"filterTestShare", o.FilterTestShare, 100},
		{"searchesPerMinute", o.SearchesPerMinute, 1_000_000}, {"searches", o.Searches, 1000}, {"testsPerMinute", o.TestsPerMinute, 100_000},
	} {
		if x.value < 1 || x.value > x.most {
			f.Add(x.name, "%d is out of range: use 1 to %d", x.value, x.most)
		}
	}
	if o.RequestTimeout < time.Second || o.RequestTimeout > 10*time.Minute {
		f.Add("requestTimeout", "%s is out of range: use 1s to 10m", o.RequestTimeout)
	}
	return f.Err()
}
