package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// MinServerVersion is the oldest nats-server that Outbound works with, which is the one that it is tested with. Servers below it ignore
// or lack what Outbound relies on, or lose what they have accepted:
//
//   - Before 2.11 there is no multi_last direct get with a sequence (ADR-31) and no pause of a consumer that outlives a restart.
//   - Before 2.12 there is no atomic batch publish (ADR-50). Such a server creates the stream all the same and stores the messages of a
//     batch singly, whatever becomes of the batch.
//   - Up to 2.14.7, and in 2.15.0, a compaction may hide a stored message from its consumer (nats-server pull request 8623).
//   - Before 2.15.2, with sync_interval always, the server syncs more often than the figures of docs/benchmarks.md assume.
const MinServerVersion = "2.15.2"

// VersionError says that a server is older than Outbound works with.
type VersionError struct {
	// Address is the server's, or says which server it is; Version is what it says of itself.
	Address, Version string
}

// Error names the server, both versions, the reason, and what to do.
func (e *VersionError) Error() string {
	return fmt.Sprintf("the broker at %s runs nats-server %s; Outbound needs nats-server %s or newer, because older ones lose or skip "+
		"messages or lack atomic batches: upgrade it", e.Address, e.Version, MinServerVersion)
}

// tooOld reports whether a version is below MinServerVersion. One that cannot be read counts as too old.
func tooOld(version string) bool {
	have, ok := parseVersion(version)
	want, _ := parseVersion(MinServerVersion)
	if !ok {
		return true
	}
	for i := range have {
		if have[i] != want[i] {
			return have[i] < want[i]
		}
	}
	return false
}

// parseVersion reads `2.15.2` and `2.15.2-RC.1` as four numbers; the last is 0 for a pre-release (Semantic Versioning 2.0.0, item 9), which
// comes before its release.
func parseVersion(s string) (v [4]int, ok bool) {
	core, _, _ := strings.Cut(strings.TrimPrefix(s, "v"), "+")
	core, _, pre := strings.Cut(core, "-")
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return v, false
	}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 {
			return v, false
		}
		v[i] = n
	}
	if !pre {
		v[3] = 1
	}
	return v, true
}
