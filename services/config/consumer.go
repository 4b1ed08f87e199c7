package config

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// locks has the consumer of a recipient changed by one goroutine at a time, from the moment the recipient is read until the consumer is
// what was read. Without it a slow one would put back an older state after a newer one was acknowledged, and what is accepted in
// that moment passes the consumer by for good. Recipients may share a lock, so nobody waits for one while holding another.
type locks [64]chan struct{}

func newLocks() *locks {
	l := &locks{}
	for i := range l {
		l[i] = make(chan struct{}, 1)
	}
	return l
}

// acquire waits for the lock of a recipient, or until ctx ends.
func (l *locks) acquire(ctx context.Context, id string) (release func(), err error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	lock := l[h.Sum32()%uint32(len(l))]
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the consumer of recipient %s: %w", id, ctx.Err())
	}
}

// ensure makes a recipient's consumer what the recipient says. When it has returned, the consumer is at least as new as the recipient
// was when it was called.
func (s *Service) ensure(ctx context.Context, id string) error {
	_, err := s.apply(ctx, id)
	return err
}

// apply is the same and names what it changed. It reads the recipient again afterwards and starts over if that changed, so that of two
// processes which do this at once the one that is last leaves the newest state.
func (s *Service) apply(ctx context.Context, id string) (changed []string, err error) {
	if s.inDryRun {
		return nil, nil
	}
	release, err := s.locks.acquire(ctx, id)
	if err != nil {
		return nil, err
	}
	defer release()
	for {
		r, err := s.recipient(ctx, id)
		if errors.Is(err, bus.ErrNotFound) {
			return changed, nil
		}
		if err != nil {
			return changed, err
		}
		decoded, err := configclient.DecodeRecipient(r.StoredRecipient, nil)
		if err != nil {
			return changed, err
		}
		more, err := within(ctx, func(ctx context.Context) ([]string, error) {
			return s.bus.ApplyConsumer(ctx, decoded, s.pauses(decoded))
		})
		changed = append(changed, more...)
		if err != nil {
			return changed, err
		}
		again, err := s.recipient(ctx, id)
		switch {
		case errors.Is(err, bus.ErrNotFound):
			// Another process has removed it meanwhile.
			return changed, s.deleteConsumer(ctx, channel(r), id)
		case err != nil:
			return changed, fmt.Errorf("check recipient %s again: %w", id, err)
		case again.kv == r.kv:
			return changed, nil
		}
	}
}

// pauses reports whether a recipient's consumer is to be paused: one that holds, unless its queue is being emptied.
func (s *Service) pauses(r *recipient.Recipient) bool { return r.Holds() && !s.emptied.running(r) }

// repair has a recipient's consumer be what the recipient says, if it was not when the consumers were listed.
func (s *Service) repair(ctx context.Context, r storedRecipient, listed bus.Consumers) error {
	decoded, err := configclient.DecodeRecipient(r.StoredRecipient, nil)
	if err != nil || listed.Fits(decoded, s.pauses(decoded)) {
		return err
	}
	changed, err := s.apply(ctx, r.id())
	if len(changed) > 0 {
		s.log.InfoContext(ctx, "consumer did not match its recipient and was updated", "recipient", r.id(), "changed", changed)
	}
	return err
}

func (s *Service) deleteConsumer(ctx context.Context, ch recipient.Channel, id string) error {
	_, err := within(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.bus.DeleteConsumer(ctx, ch, id) })
	return err
}

// dropConsumer deletes a consumer unless its recipient is there, and reports whether it did.
func (s *Service) dropConsumer(ctx context.Context, ch recipient.Channel, id string) (dropped bool, err error) {
	if s.inDryRun {
		return false, nil
	}
	release, err := s.locks.acquire(ctx, id)
	if err != nil {
		return false, err
	}
	defer release()
	switch _, err := s.recipient(ctx, id); {
	case err == nil:
		return false, nil
	case !errors.Is(err, bus.ErrNotFound):
		return false, fmt.Errorf("look up the recipient %s of a consumer: %w", id, err)
	default:
		return true, s.deleteConsumer(ctx, ch, id)
	}
}
