package config

import (
	"errors"

	"google.golang.org/protobuf/proto"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// errUnchanged in a change of a recipient leaves what is there as it is: scripts that set again what is set make no revisions, which
// would push out those that people made.
var errUnchanged = errors.New("unchanged")

// sameRecipient reports whether a change leaves a recipient as it was. A secret that is given counts as a change: whether it is the
// stored one is not told, or secrets could be guessed.
func sameRecipient(a, b *outboundv1.StoredRecipient) bool {
	return proto.Equal(comparable(a), comparable(b))
}

// comparable is a recipient without what each change makes anew.
func comparable(r *outboundv1.StoredRecipient) *outboundv1.StoredRecipient {
	out, _ := proto.Clone(r).(*outboundv1.StoredRecipient)
	out.Revision, out.DisabledWindows, out.Recipient.UpdateTime = 0, nil, nil
	return out
}

// samePart is the same for settings.
func samePart(a, b *outboundv1.WatchSettingsResponse) bool {
	return proto.Equal(comparablePart(a), comparablePart(b))
}

func comparablePart(p *outboundv1.WatchSettingsResponse) *outboundv1.WatchSettingsResponse {
	out, _ := proto.Clone(p).(*outboundv1.WatchSettingsResponse)
	if out.Smtp == nil {
		out.Smtp = &outboundv1.SmtpSettings{}
	}
	if out.Email == nil {
		out.Email = &outboundv1.EmailSettings{}
	}
	fillEmail(out.Email)
	out.Smtp.UpdateTime, out.Email.UpdateTime = nil, nil
	return out
}
