package bus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bustest"
)

type walked struct {
	Recipient string
	Within    time.Duration
}

func TestDoctorIsAnsweredByOneOfTheSenders(t *testing.T) {
	broker := bustest.Start(t)
	conn := broker.Conn()
	ask := func(id string) (walked, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var got walked
		err := conn.AskDoctor(ctx, bus.DoctorQuestion{Recipient: id}, &got)
		return got, err
	}
	if _, err := ask("crm"); !errors.Is(err, bus.ErrNobody) {
		t.Fatalf("without a sender: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	answered, done := make(chan string, 10), make(chan error, 2)
	for range 2 {
		go func() {
			done <- conn.ServeDoctor(ctx, func(_ context.Context, q bus.DoctorQuestion) (any, error) {
				answered <- q.Recipient
				if q.Recipient == "sick" {
					return nil, errors.New("it is not known here")
				}
				return walked{q.Recipient, q.Within}, nil
			})
		}()
	}
	got, err := ask("crm")
	for errors.Is(err, bus.ErrNobody) { // they have only begun to listen
		got, err = ask("crm")
	}
	if err != nil || got.Recipient != "crm" || got.Within <= 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := ask("sick"); err == nil || err.Error() != "it is not known here" {
		t.Errorf("a fault is told as %v", err)
	}
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := len(answered); n != 2 {
		t.Errorf("two questions were answered %d times", n)
	}
}
