package config_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/storecheck"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// sealedWith counts the values in both buckets, whatever key or revision they are of, that a sealing key has sealed: each begins with its
// id. Values in the past are in base64.
func (h *fixture) sealedWith(id string) (n int) {
	h.t.Helper()
	raw, err := hex.DecodeString("01" + id)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, name := range []string{bus.BucketRecipients, bus.BucketSettings} {
		all, err := h.bucket(name).Changes(h.ctx(), ">", 0, 100_000)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, c := range all {
			value := c.Value
			if strings.HasPrefix(c.Key, "past.") {
				value = pastValue(h.t, value)
			}
			if c.Key != "keyring" {
				n += bytes.Count(value, raw)
			}
		}
	}
	return n
}

// rotated rotates and waits for the end.
func (h *fixture) rotated() *outboundv1.KeyRotation {
	h.t.Helper()
	if _, err := h.keys.RotateKeys(h.ctx(), &outboundv1.RotateKeysRequest{}); err != nil {
		h.t.Fatal(err)
	}
	var last *outboundv1.KeyRotation
	h.eventually("the rotation ends", func() bool {
		all, err := h.keys.ListKeys(h.ctx(), &outboundv1.ListKeysRequest{})
		if err != nil {
			h.t.Fatal(err)
		}
		last = all.GetRotation()
		if last.GetState() == outboundv1.KeyRotation_INTERRUPTED {
			h.t.Fatalf("the rotation was interrupted: %s", last.GetError())
		}
		return last.GetState() == outboundv1.KeyRotation_DONE
	})
	return last
}

// sender watches as a sender does, with the key of a place.
func (h *fixture) sender(place secret.Place) *configclient.Client {
	h.t.Helper()
	sealer, err := place.Load()
	if err != nil {
		h.t.Fatal(err)
	}
	c := configclient.New(h.conn, configclient.Options{Settings: true, Sealer: sealer, Name: "http-sender"})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		<-done
	})
	<-c.Ready()
	return c
}

// secrets fills the buckets: recipients with several revisions, one that is gone, and a relay whose token was rotated.
func (h *fixture) secrets() (ids []string) {
	h.t.Helper()
	for i := range 3 {
		in := httpRecipient(fmt.Sprintf("R %d", i))
		in.GetHttp().Auth = basic("u", "first-password")
		r := h.create(in)
		for _, password := range []string{"second-password", "third-password"} {
			r.GetHttp().Auth = basic("u", password)
			r.Etag = ""
			h.update(r, "http.auth")
		}
		ids = append(ids, r.GetId())
	}
	h.update(&outboundv1.Recipient{Id: ids[0], DisplayName: "Renamed"}, "display_name")
	h.create(httpRecipient("Without"))
	in := httpRecipient("Gone")
	in.GetHttp().Auth = bearer(canaryToken)
	gone := h.create(in)
	if _, err := h.admin.DeleteRecipient(h.ctx(), &outboundv1.DeleteRecipientRequest{Id: gone.GetId()}); err != nil {
		h.t.Fatal(err)
	}
	r := h.rotation()
	h.mustRelay(byToken())
	r.uses(canaryRefresh, "Outbound")
	r.mustKeep(canaryRefresh, "rotated")
	return ids
}

func TestEverythingIsSealedWithANewKeyWhileItIsInUse(t *testing.T) {
	h := start(t)
	ids := h.secrets()
	inventory := storecheck.File{Path: filepath.Join(t.TempDir(), "inventory.json")}
	h.inventory(inventory)
	revisionsBefore := len(h.revisions("recipients/"+ids[0], 0))
	sender := h.sender(h.sealer.Place())
	old := h.sealer.Active()
	if n := h.sealedWith(old); n < 11 {
		t.Fatalf("only %d values are sealed", n)
	}
	r := h.rotated()
	if r.GetTo() == old || r.GetResealed() < 11 || h.sealer.Active() != r.GetTo() {
		t.Errorf("the rotation is %v, the old key was %s", r, old)
	}
	if n, is := h.sealedWith(old), h.sealedWith(r.GetTo()); n != 0 || is < 11 {
		t.Errorf("%d values are sealed with the old key, %d with the new one", n, is)
	}
	known, err := inventory.Load(h.ctx())
	if err != nil {
		t.Fatal(err)
	}
	if found, err := storecheck.Check(h.ctx(), h.bus, known); err != nil || len(found) > 0 {
		t.Errorf("a start would find the store damaged: %v, %v", found, err)
	}
	// The file has the new key alone, and that opens everything.
	late, err := h.sealer.Place().Load()
	if err != nil || !slices.Equal(late.Roots(), []string{r.GetTo()}) {
		t.Fatalf("the file has %v: %v", late.Roots(), err)
	}
	h.sealer = late
	for _, id := range ids {
		if got := h.opened(h.stored(id), credential.SecretBasicPassword); got != "third-password" {
			t.Errorf("%s has %q", id, got)
		}
		known, ok := sender.Recipient(id)
		if !ok || known.HTTP.Auth.Value != thirdPassword() {
			t.Errorf("the sender does not know %s", id)
		}
	}
	h.rotation().uses("rotated", "Outbound")
	h.pastStays(ids, r, revisionsBefore)
}

// pastStays checks that earlier revisions are what they were before a rotation, can be restored, and are sealed anew by another one.
func (h *fixture) pastStays(ids []string, r *outboundv1.KeyRotation, revisionsBefore int) {
	h.t.Helper()
	t := h.t
	all := h.revisions("recipients/"+ids[0], 0)
	if len(all) != revisionsBefore+1 || all[0].GetAction() != "re-sealed" || len(all[0].GetChanges()) != 0 || all[0].GetActor() != "admin" {
		t.Errorf("there are %d revisions, and were %d: %v", len(all), revisionsBefore, all)
	}
	if renamed := told(all[1]); renamed != "recipients/"+ids[0]+` changed by admin displayName:"R 0">"Renamed"` {
		t.Errorf("a revision that left the password as it was is told as %s", renamed)
	}
	first := all[len(all)-1]
	if first.GetAction() != "created" {
		t.Errorf("the first revision is %v", first)
	}
	h.rollBack("recipients/"+ids[0], first.GetRevision())
	if got := h.opened(h.stored(ids[0]), credential.SecretBasicPassword); got != "first-password" {
		t.Errorf("rolled back to %q", got)
	}
	// A second rotation seals the past again.
	again := h.rotated()
	if err := h.sealer.Reload(); err != nil {
		t.Fatal(err)
	}
	if n := h.sealedWith(r.GetTo()); n != 0 || again.GetTo() == r.GetTo() {
		t.Errorf("%d values are sealed with the key before: %v", n, again)
	}
	h.rotation().uses("rotated", "Outbound")
	if again := h.revisions("recipients/"+ids[0], 0); len(again) != revisionsBefore+3 {
		t.Errorf("%d revisions are left of %d", len(again), revisionsBefore+3)
	}
}

// inventory notes what the store holds, as a process does that runs.
func (h *fixture) inventory(keeper storecheck.Keeper) {
	h.t.Helper()
	w := storecheck.NewWatcher(storecheck.Options{Conn: h.bus, Keeper: keeper, Every: waitALittle})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	h.eventually("the inventory is written", func() bool {
		known, err := keeper.Load(h.ctx())
		return err == nil && known != nil
	})
	h.t.Cleanup(func() {
		cancel()
		<-done
		if err := w.Err(); err != nil {
			h.t.Errorf("a process found the store damaged: %v", err)
		}
	})
}

func TestAnInterruptedRotationIsContinued(t *testing.T) {
	h := start(t)
	ids := h.secrets()
	old := h.sealer.Active()
	// Stop it as soon as it has begun; what it has done by then does not matter.
	if _, err := h.keys.RotateKeys(h.ctx(), &outboundv1.RotateKeysRequest{}); err != nil {
		t.Fatal(err)
	}
	h.stop()
	var err error
	if h.sealer, err = h.sealer.Place().Load(); err != nil {
		t.Fatal(err)
	}
	h.run()
	for _, id := range ids {
		if got := h.opened(h.stored(id), credential.SecretBasicPassword); got != "third-password" {
			t.Fatalf("between, %s has %q", id, got)
		}
	}
	sender := h.sender(h.sealer.Place())
	r := h.rotated()
	if n := h.sealedWith(old); n != 0 || r.GetTo() == old {
		t.Errorf("%d values are sealed with the old key: %v", n, r)
	}
	for _, id := range ids {
		if known, ok := sender.Recipient(id); !ok || known.HTTP.Auth.Value != thirdPassword() {
			t.Errorf("the sender does not know %s", id)
		}
	}
}

func TestOnlyAdminsSeeAndRotateKeys(t *testing.T) {
	h := start(t)
	keys := outboundv1.NewKeyServiceClient(h.conn)
	_, err := keys.ListKeys(h.ctx(), &outboundv1.ListKeysRequest{})
	wantCode(t, err, codes.PermissionDenied)
	_, err = keys.RotateKeys(h.ctx(), &outboundv1.RotateKeysRequest{})
	wantCode(t, err, codes.PermissionDenied)
}

// waitALittle is the pause between two looks at the store.
const waitALittle = 5 * time.Millisecond

// pastValue is the value within an earlier revision that was sealed anew.
func pastValue(t *testing.T, raw []byte) []byte {
	t.Helper()
	if len(raw) == 0 {
		return nil // was removed
	}
	var p struct{ Value []byte }
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	return p.Value
}

// thirdPassword is the header of the last password of each recipient.
func thirdPassword() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("u:third-password"))
}

// keptElsewhere starts the service again, with a recipient, and its key printed by a program that reads the file kept. copied is a copy.
func (h *fixture) keptElsewhere() (kept, copied string, content []byte) {
	h.t.Helper()
	in := httpRecipient("R")
	in.GetHttp().Auth = basic("u", "third-password")
	h.create(in)
	h.stop()
	dir := h.t.TempDir()
	kept, copied = filepath.Join(dir, "kept.key"), filepath.Join(dir, "copy.key")
	content, err := os.ReadFile(h.sealer.Place().File())
	if err == nil {
		err = errors.Join(os.WriteFile(kept, content, 0o600), os.WriteFile(copied, content, 0o600))
	}
	if err != nil {
		h.t.Fatal(err)
	}
	place, err := secret.ParsePlace("exec:/bin/cat " + kept)
	if err != nil {
		h.t.Fatal(err)
	}
	if h.sealer, err = place.Load(); err != nil {
		h.t.Fatal(err)
	}
	h.run()
	return kept, copied, content
}

// The place of the key can't be written: the new key is put there by somebody else, and the senders have places of their own.
func TestAKeyThatIsKeptElsewhereIsRotated(t *testing.T) {
	h := start(t)
	kept, copied, content := h.keptElsewhere()
	old := h.sealer.Root()
	sender := h.sender(secret.FilePlace(copied))
	_, err := h.keys.RotateKeys(h.ctx(), &outboundv1.RotateKeysRequest{})
	wantCode(t, err, codes.FailedPrecondition)
	earlier, err := secret.LoadKey(kept)
	if err != nil {
		t.Fatal(err)
	}
	both, err := secret.NewKeysetAfter(earlier)
	if err == nil {
		err = os.WriteFile(kept, both, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err = h.keys.RotateKeys(h.ctx(), &outboundv1.RotateKeysRequest{}); err != nil {
		t.Fatal(err)
	}
	rotation := func() *outboundv1.KeyRotation {
		all, err := h.keys.ListKeys(h.ctx(), &outboundv1.ListKeysRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return all.GetRotation()
	}
	h.eventually("it waits for the sender's file", func() bool { return rotation().GetState() == outboundv1.KeyRotation_WAITING })
	want := []string{"http-sender reads file:" + copied}
	if r := rotation(); !slices.Equal(r.GetWaitingFor(), want) || r.GetTo() == old || h.sealedWith(old) != 0 {
		t.Errorf("the rotation is %v, want it to wait for %q", r, want)
	}
	h.eventually("the sender opens what is sealed anew", func() bool {
		r, ok := sender.Recipient("r")
		return ok && r.HTTP.Auth.Value == thirdPassword() && sender.KeyErr() == nil
	})
	if err := os.WriteFile(copied, both, 0o600); err != nil {
		t.Fatal(err)
	}
	h.eventually("the sender reads its file again", func() bool { return rotation().GetState() == outboundv1.KeyRotation_DONE })
	// A sender with the old key alone comes too late, and is told.
	if err := os.WriteFile(copied, content, 0o600); err != nil {
		t.Fatal(err)
	}
	late := h.sender(secret.FilePlace(copied))
	if err := late.KeyErr(); err == nil || !strings.Contains(err.Error(), copied) {
		t.Errorf("a sender with the old key: %v", err)
	}
}
