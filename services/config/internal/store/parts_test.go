package store_test

import (
	"errors"
	"testing"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

func setName(name string) store.ChangeFunc {
	return func(p *outboundv1.WatchSettingsResponse, _ uint64) error {
		if len(p.GetEventTypes()) == 0 {
			p.EventTypes = []*outboundv1.EventType{{Id: "x"}}
		}
		p.EventTypes[0].DisplayName = name
		return nil
	}
}

func TestAPartIsWrittenOnlyIfItChanges(t *testing.T) {
	parts := store.NewParts(memory(t))
	ctx := testContext(t)
	key := store.PrefixType + "x"
	p, first, err := parts.Change(ctx, key, setName("one"))
	if err != nil || p.GetEventTypes()[0].GetEtag() != store.Etag(first) {
		t.Fatalf("changed to %v at %d, %v", p, first, err)
	}
	if _, again, err := parts.Change(ctx, key, setName("one")); err != nil || again != first {
		t.Errorf("the same change makes revision %d, %v", again, err)
	}
	unchanged := func(p *outboundv1.WatchSettingsResponse, _ uint64) error {
		p.EventTypes[0].DisplayName = "two"
		return store.ErrUnchanged
	}
	if p, again, err := parts.Change(ctx, key, unchanged); err != nil || again != first || p.GetEventTypes()[0].GetDisplayName() != "one" {
		t.Errorf("an unchanged part is %v at %d, %v", p, again, err)
	}
	if noted, err := parts.ChangeAs(ctx, key, store.ChangeNote{Action: store.ActionRolledBack}, setName("one")); err != nil || noted <= first {
		t.Errorf("a change with a note makes revision %d, %v", noted, err)
	}
}

func TestAPartIsRemoved(t *testing.T) {
	parts := store.NewParts(memory(t))
	ctx := testContext(t)
	key := store.PrefixType + "x"
	if _, _, err := parts.Change(ctx, key, setName("one")); err != nil {
		t.Fatal(err)
	}
	remove := func(*outboundv1.WatchSettingsResponse, uint64) error { return store.ErrRemove }
	if _, _, err := parts.Change(ctx, key, remove); err != nil {
		t.Fatal(err)
	}
	p, revision, err := parts.Get(ctx, key)
	if err != nil || revision != 0 || len(p.GetEventTypes()) != 0 {
		t.Errorf("a removed part is %v at %d, %v", p, revision, err)
	}
	if all, err := parts.List(ctx, store.PrefixType); err != nil || len(all) != 0 {
		t.Errorf("listed %v, %v", all, err)
	}
}

func TestAChangeIsMadeAgainAfterAConflict(t *testing.T) {
	s := memory(t)
	parts := store.NewParts(s)
	ctx := testContext(t)
	key := store.PrefixType + "x"
	calls := 0
	_, _, err := parts.Change(ctx, key, func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		if calls++; calls == 1 {
			// Another writer is faster.
			if _, _, err := parts.Change(ctx, key, setName("other")); err != nil {
				t.Error(err)
			}
		}
		return setName("mine")(p, revision)
	})
	if err != nil || calls != 2 {
		t.Fatalf("called %d times, %v", calls, err)
	}
	p, _, err := parts.Get(ctx, key)
	if err != nil || p.GetEventTypes()[0].GetDisplayName() != "mine" {
		t.Errorf("holds %v, %v", p, err)
	}
}

func TestTheErrorOfAChangeIsAnswered(t *testing.T) {
	fault := errors.New("no")
	fail := func(*outboundv1.WatchSettingsResponse, uint64) error { return fault }
	_, _, err := store.NewParts(memory(t)).Change(testContext(t), store.KeySMTP, fail)
	if err == nil {
		t.Error("a change that fails is answered as made")
	}
}

func TestEtagsAreReadBack(t *testing.T) {
	if got, err := store.ParseEtag(store.Etag(42)); err != nil || got != 42 {
		t.Errorf("read %d, %v", got, err)
	}
	if _, err := store.ParseEtag("x"); err == nil {
		t.Error("an etag of others is read")
	}
}
