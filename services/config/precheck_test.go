package config_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/egress"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config"
)

func TestWhatWouldNotBeReachedIsWarnedOfAndSaved(t *testing.T) {
	h := start(t, func(o *config.Options) { o.AllowEgress = []string{"10.9.0.0/16"} })
	for i, c := range []struct{ url, want string }{
		{"https://receiver.example.com/hook", ""}, {"https://10.9.1.1/", ""}, {"https://inside.example.com/", "10.1.2.3"},
		{"https://nowhere.example.com/", "no such host"}, {"https://127.0.0.1:8443/", "loopback"},
		{"https://[::ffff:169.254.169.254]/", "metadata"},
	} {
		r := httpRecipient("r" + string(rune('a'+i)))
		r.GetHttp().Url = c.url
		warnings := strings.Join(h.create(r).GetWarnings(), "\n")
		if (warnings == "") != (c.want == "") || !strings.Contains(warnings, c.want) {
			t.Errorf("%s: warned of %q, want %q", c.url, warnings, c.want)
		}
	}
}

func TestOnlyAChangeOfTheURLIsLookedUp(t *testing.T) {
	h := start(t)
	r := httpRecipient("CRM")
	r.GetHttp().Url, r.Enabled = "https://inside.example.com/", proto.Bool(false)
	r = h.create(r)
	if w := r.GetWarnings(); len(w) != 0 {
		t.Errorf("disabled: warned of %q", w)
	}
	update := func(change *outboundv1.Recipient, mask ...string) []string {
		t.Helper()
		change.Id = r.GetId()
		out, err := h.admin.UpdateRecipient(h.ctx(),
			&outboundv1.UpdateRecipientRequest{Recipient: change, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask}})
		if err != nil {
			t.Fatal(err)
		}
		return out.GetWarnings()
	}
	if w := update(&outboundv1.Recipient{Enabled: proto.Bool(true)}, "enabled"); len(w) != 1 {
		t.Errorf("enabled: warned of %q", w)
	}
	if w := update(&outboundv1.Recipient{DisplayName: "Desk"}, "display_name"); len(w) != 0 {
		t.Errorf("called otherwise: warned of %q", w)
	}
}

func TestDoctorIsAskedOfASender(t *testing.T) {
	h := start(t)
	r, mail := h.create(httpRecipient("CRM")), h.create(emailRecipient("Ops"))
	ask := func(id string) (*outboundv1.DoctorRecipientResponse, error) {
		return h.admin.DoctorRecipient(h.ctx(), &outboundv1.DoctorRecipientRequest{Id: id, Post: true})
	}
	_, err := ask("nobody")
	wantCode(t, err, codes.NotFound)
	_, err = ask(mail.GetId())
	wantCode(t, err, codes.FailedPrecondition)
	_, err = ask(r.GetId())
	wantCode(t, err, codes.Unavailable)
	if !strings.Contains(err.Error(), "http-sender") {
		t.Errorf("said %v, want the remedy", err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- control.New(h.bus).ServeDoctor(ctx, func(_ context.Context, q control.DoctorQuestion) (egress.Report, error) {
			report := egress.Report{RootToPin: "root"}
			report.Add(egress.Step{Name: egress.StepURL, OK: true, Detail: "fine", Took: 1500 * time.Microsecond})
			raw, err := json.Marshal(q)
			report.Add(egress.Step{Name: egress.StepDNS, Detail: string(raw), Remedy: "look"})
			return report, err
		})
	}()
	var got *outboundv1.DoctorRecipientResponse
	h.eventually("a sender answers", func() bool {
		got, err = ask(r.GetId())
		return err == nil
	})
	if s := got.GetSteps(); len(s) != 2 || got.GetHealthy() || got.GetRootToPinPem() != "root" || s[0].GetTookMs() != 1.5 ||
		!strings.Contains(s[1].GetDetail(), `"recipient":"crm"`) {
		t.Errorf("answered %v", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
