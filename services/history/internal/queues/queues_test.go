package queues_test

import (
	"testing"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/services/history/internal/queues"
)

func TestQueuesComeInTheOrderOfTheRecipientsAndOnesWithoutAConsumerAreEmpty(t *testing.T) {
	conn := bustest.Start(t).Conn()
	web := func(id string) *recipient.Recipient {
		return &recipient.Recipient{ID: id, Enabled: true, EventTypes: []string{"a"}, MaxInFlight: 1, HTTP: &recipient.HTTPTarget{}}
	}
	there, gone := web("crm"), web("gone")
	if _, err := control.New(conn).ApplyConsumer(t.Context(), there, false); err != nil {
		t.Fatal(err)
	}
	r := queues.New(conn)
	for _, asked := range [][]*recipient.Recipient{{there}, {gone}, {gone, there, gone}, {}} {
		got, err := r.Backlogs(t.Context(), asked)
		if err != nil || len(got) != len(asked) {
			t.Fatalf("%d recipients: %v, %v", len(asked), got, err)
		}
		for i := range got {
			if got[i].Total() != 0 {
				t.Errorf("the queue of %s: %+v, want it empty", asked[i].ID, got[i])
			}
		}
	}
}
