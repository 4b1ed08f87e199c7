package wire

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
)

// minPayload is the largest message that Outbound publishes, as the bounds of the streams say: an event of 256 KiB with headers, an alert.
const minPayload = 512 << 10

// metadataVersion is where a server tells its own version with a stream that it leads (ADR-44 of nats-architecture-and-design).
const metadataVersion = "_nats.ver"

// awaitNeeds waits until the broker answers whether it has what Outbound needs.
func awaitNeeds(ctx context.Context, c *Conn, w *waiting) error {
	return w.await(ctx, "JetStream at the broker "+c.NC.ConnectedUrlRedacted(), func(ctx context.Context) error { return needs(ctx, c) })
}

// needs asks the broker for what Outbound needs. An error that is not temporary says what to change.
func needs(ctx context.Context, c *Conn) error {
	at := c.NC.ConnectedUrlRedacted()
	if v := c.NC.ConnectedServerVersion(); v != "" && tooOld(v) {
		return &VersionError{Address: at, Version: v}
	}
	if most := c.NC.MaxPayload(); most > 0 && most < minPayload {
		return fmt.Errorf("the broker at %s takes messages of %d bytes at most; Outbound needs %d: raise max_payload of nats-server", at, most,
			minPayload)
	}
	js := c.JS.(steady).JetStream
	switch _, err := js.AccountInfo(ctx); {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		return fmt.Errorf("the broker at %s has no JetStream for user %q: enable jetstream in nats-server. A JetStream domain that is reached "+
			"through a leaf node does not do: connect to a server of that domain (%w)", at, c.options.User, err)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("the account of user %q at the broker %s has no JetStream: set `jetstream: enabled` for the account, or use another "+
			"user in nats.user (%w)", c.options.User, at, err)
	case err != nil:
		if denied := c.monitor.denied(); denied != nil {
			return denied
		}
		return fmt.Errorf("ask for the JetStream account: %w", err)
	}
	return leaders(ctx, js)
}

// leaders checks the servers that lead the streams. In a cluster they need not be the one that the client is connected to.
func leaders(ctx context.Context, js jetstream.JetStream) error {
	for _, name := range []string{names.StreamEvents, names.StreamHistory} {
		s, err := js.Stream(ctx, name)
		if err != nil {
			continue // it is made, or waited for, elsewhere
		}
		info := s.CachedInfo()
		if info.Cluster == nil || info.Cluster.Leader == "" {
			continue
		}
		version := info.Config.Metadata[metadataVersion]
		if version == "" {
			version = "before 2.11.0"
		}
		if tooOld(version) {
			return &VersionError{Address: fmt.Sprintf("server %s, which leads the stream %s,", info.Cluster.Leader, name), Version: version}
		}
	}
	return nil
}

// permission turns a refusal of a subject into what to do about it; nil if err is none.
func permission(c *Conn, err error) error {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	return fmt.Errorf("the broker refuses a subject to user %q: give the user the permissions to publish and subscribe to \"outbound.>\", "+
		"\"_INBOX.>\", \"$JS.>\" and \"$KV.>\", or none at all (%w)", c.options.User, err)
}

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
