package render

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"
)

// Sign is the value of the header webhook-signature by Standard Webhooks: for each key `v1,` and the base64 of the HMAC-SHA256
// over `<id>.<Unix seconds>.<body>`, separated by blanks. It is empty without keys. Body is the exact bytes that are sent.
func Sign(id string, at time.Time, body []byte, keys ...[]byte) string {
	if len(keys) == 0 {
		return ""
	}
	head := make([]byte, 0, 128)
	head = append(head, id...)
	head = append(head, '.')
	head = strconv.AppendInt(head, at.Unix(), 10)
	head = append(head, '.')
	out := make([]byte, 0, len(keys)*(len("v1, ")+base64.StdEncoding.EncodedLen(sha256.Size)))
	var sum [sha256.Size]byte
	for i, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write(head)
		mac.Write(body)
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, "v1,"...)
		out = base64.StdEncoding.AppendEncode(out, mac.Sum(sum[:0]))
	}
	return string(out)
}
