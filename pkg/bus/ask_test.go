package bus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

type walked struct {
	Recipient string
	Within    time.Duration
}

func TestDoctorIsAnsweredByOneOfTheSenders(t *testing.T) {
	broker := bustest.Start(t)
	conn := broker.Conn()
	ask := func(id string) (walked, error) {
		ctx, cancel := waittest.Context(t.Context())
		defer cancel()
		var got walked
		err := control.New(conn).AskDoctor(ctx, control.DoctorQuestion{Recipient: id}, &got)
		return got, err
	}
	if _, err := ask("crm"); !errors.Is(err, control.ErrNobody) {
		t.Fatalf("without a sender: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	answered, done := make(chan string, 10), make(chan error, 2)
	for range 2 {
		go func() {
			done <- control.New(conn).ServeDoctor(ctx, func(_ context.Context, q control.DoctorQuestion) (any, error) {
				answered <- q.Recipient
				if q.Recipient == "sick" {
					return nil, errors.New("it is not known here")
				}
				return walked{q.Recipient, q.Within}, nil
			})
		}()
	}
	got, err := ask("crm")
	for errors.Is(err, control.ErrNobody) { // they have only begun to listen
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

func TestTestMailsAndDoctorsAreAskedApart(t *testing.T) {
	conn := bustest.Start(t).Conn()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- control.New(conn).ServeTestMail(ctx, func(_ context.Context, q control.TestMailQuestion) (any, error) {
			return []control.TestMailResult{{Address: q.To[0], Accepted: q.Actor == "admin" && q.Etag == "7" && q.Within > 0}}, nil
		})
	}()
	bound, stop := waittest.Context(t.Context())
	defer stop()
	var got []control.TestMailResult
	q := control.TestMailQuestion{To: []string{"a@example.org"}, Actor: "admin", Etag: "7"}
	err := control.New(conn).AskTestMail(bound, q, &got)
	for errors.Is(err, control.ErrNobody) { // it has only begun to listen
		err = control.New(conn).AskTestMail(bound, q, &got)
	}
	if err != nil || len(got) != 1 || !got[0].Accepted || got[0].Address != "a@example.org" {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := control.New(conn).AskDoctor(bound, control.DoctorQuestion{Recipient: "crm"}, &got); !errors.Is(err, control.ErrNobody) {
		t.Errorf("the doctor is asked of those who send test mails: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
