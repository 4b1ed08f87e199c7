package wire

import (
	"context"
	"errors"
	"fmt"

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

// needs asks the broker for what Outbound needs. An error that is not Temporary says what to change.
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
