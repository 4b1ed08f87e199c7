package render

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// Sign is the value of the header webhook-signature by Standard Webhooks: for each secret one signature over
// `<id>.<Unix seconds>.<body>` in base64, `v1,` before an HMAC-SHA256 and `v1a,` before one of ed25519, separated by blanks. A
// secret that has expired by then does not sign. It is empty without secrets. Body is the exact bytes that are sent.
func Sign(id string, at time.Time, body []byte, secrets ...recipient.SigningSecret) string {
	head := make([]byte, 0, 128)
	head = append(head, id...)
	head = append(head, '.')
	head = strconv.AppendInt(head, at.Unix(), 10)
	head = append(head, '.')
	out := make([]byte, 0, len(secrets)*(len("v1a, ")+base64.StdEncoding.EncodedLen(sha256.Size)))
	for _, s := range secrets {
		if !s.Expire.IsZero() && !at.Before(s.Expire) {
			continue
		}
		if len(out) > 0 {
			out = append(out, ' ')
		}
		if s.Ed25519 {
			out = append(out, "v1a,"...)
			out = base64.StdEncoding.AppendEncode(out, signEd25519(s.Key, head, body))
			continue
		}
		out = append(out, "v1,"...)
		out = base64.StdEncoding.AppendEncode(out, signHMAC(s.Key, head, body))
	}
	return string(out)
}

func signHMAC(key, head, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(head)
	mac.Write(body)
	return mac.Sum(nil)
}

func signEd25519(key, head, body []byte) []byte {
	message := make([]byte, 0, len(head)+len(body))
	return ed25519.Sign(key, append(append(message, head...), body...))
}
