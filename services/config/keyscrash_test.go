package config_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus/storecheck"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// errKilled stands for the end of a process: nothing is written any more.
var errKilled = errors.New("killed")

// A rotation that ends after any of its writes leaves a store that is whole, opens with the key that is in the file by then, and goes on.
func TestARotationThatIsKilledAfterAnyWriteIsContinued(t *testing.T) {
	interrupted, whole := 0, false
	for writes := int64(0); !whole; writes += 3 {
		if writes > 100 {
			t.Fatal("the rotation never comes to its end")
		}
		var left atomic.Int64
		left.Store(1 << 40)
		h := startHeld(t, &left)
		known, old := h.noted(), h.sealer.Root()
		left.Store(writes)
		state := h.untilItStops()
		whole = state == outboundv1.KeyRotation_WAITING
		if !whole {
			interrupted++
		}
		h.stop()
		left.Store(1 << 40)
		if found, err := storecheck.Check(h.ctx(), h.bus, known); err != nil || len(found) > 0 {
			t.Errorf("after %d writes a start would find the store damaged: %v, %v", writes, found, err)
		}
		var err error
		if h.sealer, err = h.sealer.Place().Load(); err != nil {
			t.Fatal(err)
		}
		h.run()
		if got := h.opened(h.stored("r"), credential.SecretBasicPassword); got != "third-password" {
			t.Errorf("after %d writes the password is %q", writes, got)
		}
		h.rotation().uses("rotated", "Outbound")
		h.sender(h.sealer.Place())
		if !whole {
			h.rotated()
		}
		if n := h.sealedWith(old); n != 0 {
			t.Errorf("after %d writes and another rotation %d values are sealed with the old key", writes, n)
		}
		h.rotation().uses("rotated", "Outbound")
		all := h.revisions("recipients/r", 0)
		h.rollBack("recipients/r", all[len(all)-1].GetRevision())
		if got := h.opened(h.stored("r"), credential.SecretBasicPassword); got != "first-password" {
			t.Errorf("after %d writes the first password is %q", writes, got)
		}
		h.stop()
	}
	t.Logf("%d rotations were interrupted", interrupted)
	if interrupted < 4 {
		t.Errorf("only %d rotations were interrupted", interrupted)
	}
}

// startHeld starts a service that may make so many writes, with a recipient and a relay.
func startHeld(t *testing.T, left *atomic.Int64) *fixture {
	t.Helper()
	h := start(t)
	h.stop()
	h.hold = func(context.Context) error {
		if left.Add(-1) < 0 {
			return errKilled
		}
		return nil
	}
	h.run()
	in := httpRecipient("R")
	in.GetHttp().Auth = basic("u", "first-password")
	r := h.create(in)
	r.GetHttp().Auth, r.Etag = basic("u", "third-password"), ""
	h.update(r, "http.auth")
	tokens := h.rotation()
	h.mustRelay(byToken())
	tokens.uses(canaryRefresh, "Outbound")
	tokens.mustKeep(canaryRefresh, "rotated")
	return h
}

// noted is what a process notes of the store as it is now.
func (h *fixture) noted() *storecheck.Inventory {
	h.t.Helper()
	keeper := storecheck.File{Path: filepath.Join(h.t.TempDir(), "inventory.json")}
	w := storecheck.NewWatcher(storecheck.Options{Conn: h.bus, Keeper: keeper, Every: waitALittle})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	var known *storecheck.Inventory
	h.eventually("the inventory is written", func() bool {
		var err error
		known, err = keeper.Load(h.ctx())
		return err == nil && known != nil
	})
	cancel()
	<-done
	return known
}

// untilItStops begins a rotation and returns the state in which it does nothing more.
func (h *fixture) untilItStops() (last outboundv1.KeyRotation_State) {
	h.t.Helper()
	if _, err := h.keys.RotateKeys(h.ctx(), &outboundv1.RotateKeysRequest{}); err != nil {
		if rpc.ViolationsOf(err) != nil {
			h.t.Fatal(err)
		}
		return outboundv1.KeyRotation_INTERRUPTED
	}
	h.eventually("the rotation stops", func() bool {
		all, err := h.keys.ListKeys(h.ctx(), &outboundv1.ListKeysRequest{})
		if err != nil {
			h.t.Fatal(err)
		}
		last = all.GetRotation().GetState()
		return last != outboundv1.KeyRotation_RUNNING
	})
	return last
}
