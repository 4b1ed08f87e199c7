package config

import outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"

// checkLater refuses what the contract has and this release does not do yet, so that nothing is accepted and ignored.
func checkLater(v *violations, r *outboundv1.Recipient) {
	h := r.GetHttp()
	refuse := func(set bool, field string) {
		if set {
			v.add(field, reasonUnsupported, "is not in this release: leave it out")
		}
	}
	refuse(h.GetStopOnGone(), "http.stopOnGone")
	for _, s := range h.GetSigningSecrets() {
		refuse(s.GetKind() == outboundv1.SigningSecret_ED25519, "http.signingSecrets")
	}
}
