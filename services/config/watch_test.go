package config_test

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func (h *fixture) watch(ch outboundv1.WatchRecipientsRequest_Channel) outboundv1.RecipientService_WatchRecipientsClient {
	h.t.Helper()
	stream, err := h.services.WatchRecipients(h.ctx(), &outboundv1.WatchRecipientsRequest{Channel: ch})
	if err != nil {
		h.t.Fatal(err)
	}
	return stream
}

func (h *fixture) next(stream outboundv1.RecipientService_WatchRecipientsClient) *outboundv1.WatchRecipientsResponse {
	h.t.Helper()
	m, err := stream.Recv()
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

func TestWatchSendsASnapshotThenChanges(t *testing.T) {
	h := start(t, eager)
	in := httpRecipient("One")
	in.GetHttp().Auth = bearer(canaryToken)
	h.create(in)
	h.create(httpRecipient("Two"))
	h.create(emailRecipient("Mail"))
	stream := h.watch(outboundv1.WatchRecipientsRequest_CHANNEL_HTTP)
	var ids []string
	for {
		m := h.next(stream)
		if m.GetSynced() != nil {
			break
		}
		s := m.GetRecipient()
		ids = append(ids, s.GetRecipient().GetId())
		if s.GetStartSequence() == 0 || s.GetRevision() != 1 || s.GetRecipient().GetEtag() == "" {
			t.Errorf("watched %v", s)
		}
		if s.GetRecipient().GetId() == "one" && len(s.GetSealedSecrets()) != 1 {
			t.Error("the sealed secret is missing")
		}
	}
	if slices.Sort(ids); !slices.Equal(ids, []string{"one", "two"}) {
		t.Errorf("the snapshot holds %q", ids)
	}
	if _, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{
		Recipient: &outboundv1.Recipient{Id: "two", Enabled: proto.Bool(false)}, UpdateMask: mask("enabled"),
	}); err != nil {
		t.Fatal(err)
	}
	if s := h.next(stream).GetRecipient(); s.GetRecipient().GetId() != "two" || s.GetRecipient().GetEnabled() || s.GetRevision() != 2 {
		t.Errorf("watched %v, want the change", s)
	}
	if _, err := h.admin.DeleteRecipient(h.ctx(), &outboundv1.DeleteRecipientRequest{Id: "one"}); err != nil {
		t.Fatal(err)
	}
	for h.next(stream).GetRemoved() != "one" {
		// The mark of deletion may be told before, or be joined with the removal.
		continue
	}
}

func TestASlowWatcherHoldsNobody(t *testing.T) {
	h := start(t)
	h.watch(outboundv1.WatchRecipientsRequest_CHANNEL_UNSPECIFIED) // never read from
	big := httpRecipient("Big")
	big.GetHttp().Headers = map[string]string{}
	for i := range 16 {
		big.GetHttp().Headers[fmt.Sprintf("X-%d", i)] = string(make4k())
	}
	h.create(big)
	quick := h.watch(outboundv1.WatchRecipientsRequest_CHANNEL_UNSPECIFIED)
	for i := range 40 {
		if _, err := h.admin.UpdateRecipient(h.ctx(), &outboundv1.UpdateRecipientRequest{
			Recipient:  &outboundv1.Recipient{Id: "big", DisplayName: fmt.Sprintf("Big %d", i)},
			UpdateMask: mask("display_name"),
		}); err != nil {
			t.Fatal(err)
		}
	}
	for h.next(quick).GetRecipient().GetRecipient().GetDisplayName() != "Big 39" {
		continue
	}
}

func make4k() []byte {
	b := make([]byte, 4000)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

func TestWatchIsForServicesAlone(t *testing.T) {
	h := start(t)
	stream, err := h.admin.WatchRecipients(h.ctx(), &outboundv1.WatchRecipientsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantCode(t, err, codes.PermissionDenied)
}

func TestWatchEndsWithTheService(t *testing.T) {
	h := start(t)
	stream := h.watch(outboundv1.WatchRecipientsRequest_CHANNEL_UNSPECIFIED)
	if m := h.next(stream); m.GetSynced() == nil {
		t.Fatalf("an empty snapshot is %v", m)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := stream.Recv()
		ended <- err
	}()
	h.stop()
	if err := <-ended; status.Code(err) != codes.Unavailable && status.Code(err) != codes.Canceled {
		t.Errorf("the stream ended with %v", err)
	}
}
