package configclient_test

import (
	"testing"

	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

func TestRequestSelectsItsChannel(t *testing.T) {
	const (
		all   = outboundv1.WatchRecipientsRequest_CHANNEL_UNSPECIFIED
		http  = outboundv1.WatchRecipientsRequest_CHANNEL_HTTP
		email = outboundv1.WatchRecipientsRequest_CHANNEL_EMAIL
		// Of a later version, which is sent all recipients.
		later = outboundv1.WatchRecipientsRequest_Channel(99)
	)
	for _, c := range []struct {
		asked outboundv1.WatchRecipientsRequest_Channel
		is    recipient.Channel
		want  bool
	}{
		{all, recipient.HTTP, true}, {all, recipient.Email, true}, {http, recipient.HTTP, true}, {http, recipient.Email, false},
		{email, recipient.HTTP, false}, {email, recipient.Email, true}, {later, recipient.HTTP, true}, {later, recipient.Email, true},
		{http, "toy", false}, {all, "toy", true},
	} {
		if got := configclient.Selects(&outboundv1.WatchRecipientsRequest{Channel: c.asked}, c.is); got != c.want {
			t.Errorf("a request for %s selects a recipient of %s: %v", c.asked, c.is, got)
		}
	}
}
