package config_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// answerTests answers as an email sender does, until the end of the test.
func (h *fixture) answerTests(answer func(control.TestMailQuestion) ([]control.TestMailResult, error)) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- control.New(h.bus).ServeTestMail(ctx, func(_ context.Context, q control.TestMailQuestion) ([]control.TestMailResult, error) {
			return answer(q)
		})
	}()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
}

func TestATestMailIsAskedOfAnEmailSender(t *testing.T) {
	h := start(t)
	send := func(to ...string) (*outboundv1.SendTestEmailResponse, error) {
		return h.settings.SendTestEmail(h.ctx(), &outboundv1.SendTestEmailRequest{To: to})
	}
	_, err := send()
	wantFields(t, err, "to")
	_, err = send("a@example.org", "b", "a@EXAMPLE.org")
	wantFields(t, err, "to[1]", "to[2]")
	_, err = send("a@example.org")
	wantCode(t, err, codes.FailedPrecondition)
	set := h.mustRelay(&outboundv1.SmtpSettings{Host: "relay.example.com", FromAddress: "o@example.com",
		AdminContacts: []string{"root@example.org"}})
	_, err = send("a@example.org")
	wantCode(t, err, codes.Unavailable)
	if !strings.Contains(err.Error(), "start one") {
		t.Errorf("without a sender: %v", err)
	}
	h.answerTests(func(q control.TestMailQuestion) ([]control.TestMailResult, error) {
		if q.To[0] == "sick@example.org" {
			return nil, errors.New("it can't")
		}
		if q.Etag != set.GetEtag() || q.Actor == "" || q.Within <= 0 {
			t.Errorf("asked %+v", q)
		}
		out := make([]control.TestMailResult, len(q.To))
		for i, to := range q.To {
			out[i] = control.TestMailResult{Address: to, Accepted: i == 0, Code: 250 + 300*i, Detail: "as told"}
		}
		return out, nil
	})
	var got *outboundv1.SendTestEmailResponse
	waittest.NoError(t, "a sender to listen", func() (err error) {
		got, err = send()
		return err
	})
	if !got.GetOk() || len(got.GetResults()) != 1 || got.GetResults()[0].GetAddress() != "root@example.org" {
		t.Errorf("to the admin contacts: %v", got)
	}
	got, err = send("a@example.org", "b@example.org")
	if err != nil || got.GetOk() || len(got.GetResults()) != 2 || got.GetResults()[1].GetAccepted() || got.GetResults()[1].GetCode() != 550 {
		t.Errorf("to two: %v, %v", got, err)
	}
	_, err = send("sick@example.org")
	wantCode(t, err, codes.Unavailable)
}
