package store_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// add stores a recipient and its name.
func add(t *testing.T, s store.Store, n *store.Names, r *outboundv1.Recipient) {
	t.Helper()
	if _, err := n.Reserve(testContext(t), r.GetDisplayName(), r.GetId()); err != nil {
		t.Fatal(err)
	}
	stored := store.Recipient{StoredRecipient: &outboundv1.StoredRecipient{Recipient: r}}
	if _, err := store.NewRecipients(s).Put(testContext(t), stored, store.ChangeNote{}); err != nil {
		t.Fatal(err)
	}
}

func TestANameHasOneRecipient(t *testing.T) {
	s := memory(t)
	n := store.NewNames(s, time.Hour, time.Now)
	add(t, s, n, &outboundv1.Recipient{Id: "a", DisplayName: "Ticket desk"})
	if _, err := n.Reserve(testContext(t), " TICKET desk ", "b"); !errors.Is(err, store.ErrNameTaken) {
		t.Errorf("a name that is taken is reserved with %v", err)
	}
	if _, err := n.Reserve(testContext(t), "Ticket Desk", "a"); err != nil {
		t.Errorf("a recipient reserves its own name with %v", err)
	}
	n.Release(testContext(t), "Ticket desk", "a")
	if _, err := n.Reserve(testContext(t), "Ticket desk", "b"); !errors.Is(err, store.ErrNameTaken) {
		t.Errorf("a name that its recipient still has is released: %v", err)
	}
}

func TestTheNameOfARecipientBeingDeletedIsFree(t *testing.T) {
	s := memory(t)
	n := store.NewNames(s, time.Hour, time.Now)
	add(t, s, n, &outboundv1.Recipient{Id: "a", DisplayName: "Ticket desk", DeleteTime: timestamppb.Now()})
	if _, err := n.Reserve(testContext(t), "Ticket desk", "b"); err != nil {
		t.Error(err)
	}
}

func TestAnOrphanedNameIsFreeOnceItIsOld(t *testing.T) {
	for _, c := range []struct {
		age  time.Duration
		free bool
	}{{time.Hour, false}, {-time.Hour, true}} {
		s := memory(t)
		n := store.NewNames(s, c.age, time.Now)
		if _, err := n.Reserve(testContext(t), "Ticket desk", "a"); err != nil {
			t.Fatal(err)
		}
		_, err := n.Reserve(testContext(t), "Ticket desk", "b")
		if free := err == nil; free != c.free {
			t.Errorf("with an age of %s: %v", c.age, err)
		}
		held, err := s.Get(testContext(t), store.NameKey("Ticket desk"))
		if err != nil {
			t.Fatal(err)
		}
		if err := n.DropOrphan(testContext(t), held); err != nil {
			t.Error(err)
		}
		_, err = s.Get(testContext(t), store.NameKey("Ticket desk"))
		if dropped := errors.Is(err, bus.ErrNotFound); dropped != c.free {
			t.Errorf("with an age of %s the orphan is dropped: %v", c.age, dropped)
		}
	}
}

func TestANameThatIsUnreservedIsFree(t *testing.T) {
	s := memory(t)
	n := store.NewNames(s, time.Hour, time.Now)
	revision, err := n.Reserve(testContext(t), "Ticket desk", "a")
	if err != nil {
		t.Fatal(err)
	}
	n.Unreserve(testContext(t), "Ticket desk", "a", revision+1)
	if _, err := n.Reserve(testContext(t), "Ticket desk", "b"); !errors.Is(err, store.ErrNameTaken) {
		t.Errorf("a change that is not the last frees the name: %v", err)
	}
	n.Unreserve(testContext(t), "Ticket desk", "a", revision)
	if _, err := n.Reserve(testContext(t), "Ticket desk", "b"); err != nil {
		t.Error(err)
	}
}
