package embed_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// accepted is the record of an event's acceptance.
func accepted(i int) event.IntakeRecord {
	return event.IntakeRecord{Appliance: "a", EventID: fmt.Sprint("e-", i), Type: "t", Accepted: true, Sequence: uint64(i + 1)}
}

// The record of an acceptance, which nobody waits for, is stored at once, and has no sync of its own if that of the first attempt, which
// another part of the process writes, follows soon. On a busy machine it does not always.
func TestARecordThatNobodyWaitsForSharesTheSyncOfAnother(t *testing.T) {
	s := startSynced(t)
	intake, sender := deliverylog.New(s.conn), deliverylog.New(s.conn)
	defer intake.Close()
	defer sender.Close()
	const n = 300
	shared := 0
	for i := range n {
		before := s.broker.Disk().Syncs()
		var records sync.WaitGroup
		records.Add(2)
		intake.AppendIntake(accepted(i), func(err error) {
			if err != nil {
				t.Errorf("the acceptance of event %d: %v", i, err)
			}
			records.Done()
		})
		waittest.Until(t, "the record to be stored", func() bool {
			_, found, err := intake.Intake(t.Context(), "a", fmt.Sprint("e-", i))
			return err == nil && found
		})
		attempt := delivery.Record{Recipient: "r", Appliance: "a", EventID: fmt.Sprint("e-", i), Type: "t", State: delivery.StateDelivered,
			Attempt: 1}
		sender.AppendAttempt(attempt, func(err error) {
			if err != nil {
				t.Errorf("the attempt of event %d: %v", i, err)
			}
			records.Done()
		})
		records.Wait()
		if s.broker.Disk().Syncs() == before+1 {
			shared++
		}
	}
	if shared < n/4 {
		t.Errorf("%d of %d acceptances shared the sync of the attempt after it", shared, n)
	}
	t.Logf("%d of %d shared a sync", shared, n)
}

// What nobody waits for is written even if nothing else comes, and does not hold up the end of a process.
func TestARecordThatNobodyWaitsForIsWrittenByItself(t *testing.T) {
	s := startSynced(t)
	log := deliverylog.New(s.conn)
	written := make(chan error, 2)
	done := func(err error) { written <- err }
	log.AppendIntake(accepted(1), done)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	log.AppendIntake(accepted(2), done)
	log.Close()
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}
