package bus_test

import (
	"context"
	"errors"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestDoctorIsAnsweredByOneOfTheSenders(t *testing.T) {
	broker := bustest.Start(t)
	conn := broker.Conn()
	ask := func(id string) (egress.Report, error) {
		ctx, cancel := waittest.Context(t.Context())
		defer cancel()
		return control.New(conn).AskDoctor(ctx, control.DoctorQuestion{Recipient: id})
	}
	if _, err := ask("crm"); !errors.Is(err, control.ErrNobody) {
		t.Fatalf("without a sender: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	answered, done := make(chan string, 10), make(chan error, 2)
	for range 2 {
		go func() {
			done <- control.New(conn).ServeDoctor(ctx, func(_ context.Context, q control.DoctorQuestion) (r egress.Report, err error) {
				answered <- q.Recipient
				if q.Recipient == "sick" {
					return r, errors.New("it is not known here")
				}
				r.Add(egress.Step{Name: egress.StepURL, OK: true, Detail: q.Recipient, Took: q.Within})
				return r, nil
			})
		}()
	}
	got, err := ask("crm")
	for errors.Is(err, control.ErrNobody) { // they have only begun to listen
		got, err = ask("crm")
	}
	if err != nil || len(got.Steps) != 1 || got.Steps[0].Detail != "crm" || got.Steps[0].Took <= 0 {
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
		done <- control.New(conn).ServeTestMail(ctx, func(_ context.Context, q control.TestMailQuestion) ([]control.TestMailResult, error) {
			return []control.TestMailResult{{Address: q.To[0], Accepted: q.Actor == "admin" && q.Etag == "7" && q.Within > 0}}, nil
		})
	}()
	bound, stop := waittest.Context(t.Context())
	defer stop()
	q := control.TestMailQuestion{To: []string{"a@example.org"}, Actor: "admin", Etag: "7"}
	got, err := control.New(conn).AskTestMail(bound, q)
	for errors.Is(err, control.ErrNobody) { // it has only begun to listen
		got, err = control.New(conn).AskTestMail(bound, q)
	}
	if err != nil || len(got) != 1 || !got[0].Accepted || got[0].Address != "a@example.org" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := control.New(conn).AskDoctor(bound, control.DoctorQuestion{Recipient: "crm"}); !errors.Is(err, control.ErrNobody) {
		t.Errorf("the doctor is asked of those who send test mails: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
