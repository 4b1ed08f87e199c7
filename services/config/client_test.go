package config_test

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func TestSendersLearnOfChangesAcrossARestart(t *testing.T) {
	h := start(t)
	in := httpRecipient("R")
	in.GetHttp().Auth = basic("u", "p")
	in.GetHttp().SigningSecrets = []*outboundv1.SigningSecret{{}}
	h.create(in)
	c := configclient.New(h.conn, configclient.Options{Channel: recipient.HTTP, Settings: true, Sealer: h.sealer})
	ctx, cancel := context.WithCancel(h.ctx())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	defer func() { cancel(); <-done }()
	<-c.Ready()
	// The first state that the client hears may be older than the recipient: the service follows its own bucket.
	h.eventually("the recipient is learnt", func() bool { _, ok := c.Recipient("r"); return ok })
	r, ok := c.Recipient("r")
	if !ok || r.HTTP.Auth.Value != "Basic dTpw" || len(r.HTTP.SigningSecrets) != 1 || r.StartSequence != 1 {
		t.Fatalf("learnt %+v", r)
	}
	if _, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{
		Recipient: &outboundv1.Recipient{Id: "r", Enabled: proto.Bool(false)}, UpdateMask: mask("enabled"),
	}); err != nil {
		t.Fatal(err)
	}
	h.eventually("the change is learnt", func() bool { r, _ := c.Recipient("r"); return !r.Enabled && len(r.DisabledWindows) == 1 })
	h.broker.Restart()
	if _, ok := c.Recipient("r"); !ok {
		t.Error("a broker that is away makes the recipient unknown")
	}
	h.eventually("a recipient created after the broker came back is learnt", func() bool {
		_, err := h.admin.CreateRecipient(h.ctx(), &outboundv1.CreateRecipientRequest{Recipient: httpRecipient("Later")})
		_, ok := c.Recipient("later")
		return err == nil || ok
	})
	h.eventually("it is known", func() bool { _, ok := c.Recipient("later"); return ok })
}
