package configclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// rereadEvery is the pause between two readings of the place of the sealing key, while the keyring names a key that is not there.
const rereadEvery = 2 * time.Second

// errOtherKeys says that a watch is opened again to tell which keys this process reads.
var errOtherKeys = errors.New("the sealing keys have changed")

// watchRequest asks for the settings and tells which sealing keys this process reads.
func watchRequest(o Options) *outboundv1.WatchSettingsRequest {
	q := &outboundv1.WatchSettingsRequest{}
	if o.Sealer != nil {
		q.SealKeys, q.SealPlace, q.Watcher = o.Sealer.Roots(), o.Sealer.Place().String(), o.Name
	}
	return q
}

// whileSameKeys ends a watch with errOtherKeys when this process reads other keys than the watch has told. wait returns when nothing runs.
func whileSameKeys(ctx context.Context, s *secret.Sealer, q *outboundv1.WatchSettingsRequest) (_ context.Context, wait func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	if s != nil {
		wg.Go(func() {
			for {
				changed := s.Changed()
				if !slices.Equal(s.Roots(), q.GetSealKeys()) {
					cancel(errOtherKeys)
					return
				}
				select {
				case <-ctx.Done():
					return
				case <-changed:
				}
			}
		})
	}
	return ctx, func() { cancel(nil); wg.Wait() }
}

// takeKeys adopts the keys of a keyring, and has recipients opened that waited for one.
func (c *Client) takeKeys(ctx context.Context, ring *outboundv1.Keyring) {
	if c.o.Sealer == nil {
		return
	}
	for _, h := range ring.GetHanded() {
		if ring.GetNext() == "" && c.o.Sealer.Holds(ring.GetActive()) {
			break // the others are of no use any more
		}
		if err := c.o.Sealer.Adopt(h.GetId(), h.GetSealed()); err != nil {
			c.log.WarnContext(ctx, "sealing key of the keyring not opened", telemetry.KeyError, err.Error())
		}
	}
	if ring == nil {
		ring = &outboundv1.Keyring{}
	}
	c.mu.Lock()
	c.ring = ring
	c.mu.Unlock()
	c.openWaiting(ctx)
}

// keepKeys reads the place of the sealing key again while the keyring names an active key that is not there, until ctx ends.
func (c *Client) keepKeys(ctx context.Context) {
	tick := time.NewTicker(rereadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.mu.RLock()
		active := c.ring.GetActive()
		wants := c.ring.GetNext() == "" && active != "" && !slices.Contains(c.o.Sealer.Roots(), active)
		c.mu.RUnlock()
		if wants && c.o.Sealer.Reload() == nil {
			c.openWaiting(ctx)
		}
	}
}

// openWaiting opens recipients again whose secrets could not be opened.
func (c *Client) openWaiting(ctx context.Context) {
	c.mu.Lock()
	waiting := c.unopened
	c.unopened = map[string]*outboundv1.StoredRecipient{}
	synced := c.gotRecipients
	c.mu.Unlock()
	for id, s := range waiting {
		r := c.decode(ctx, s)
		if r == nil {
			continue
		}
		if synced {
			c.put(id, r)
			continue
		}
		c.mu.Lock()
		c.late[id] = r
		c.mu.Unlock()
	}
}

// noteOpened notes whether the secrets of a recipient could be opened. The caller does not hold mu.
func (c *Client) noteOpened(s *outboundv1.StoredRecipient, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := s.GetRecipient().GetId()
	switch {
	case errors.Is(err, secret.ErrSealBroken):
		c.unopened[id], c.keyError = s, err
	case len(s.GetSealedSecrets()) > 0 && err == nil:
		delete(c.unopened, id)
		c.opened = true
	default:
		delete(c.unopened, id)
	}
}

// noteSettings is noteOpened for the secrets of the relay.
func (c *Client) noteSettings(m *outboundv1.WatchSettingsResponse, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(err, secret.ErrSealBroken):
		c.keyError = err
	case err == nil && c.o.Sealer != nil && len(m.GetSealedSmtpPassword())+len(m.GetSealedSmtpSecrets()) > 0:
		c.opened = true
	}
}

// KeyErr is an error if the sealing key opens none of the secrets that the config service has sent, although there are some and they are
// not given up. It is nil before the first snapshot.
func (c *Client) KeyErr() error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	first := c.ring == nil || !c.gotRecipients && !c.o.NoRecipients
	if first || c.opened || c.keyError == nil || c.ring.GetGivenUp() {
		return nil
	}
	return fmt.Errorf("the sealing key of %s opens none of the secrets that are stored: %w", c.o.Sealer.Place(), c.keyError)
}
