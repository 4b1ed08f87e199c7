// Package chain links the records of the delivery log: each record holds its own digest, and names the record before it of the same
// writer by that record's digest. Who reads the log finds a record that was changed, removed or added by it, also before a checkpoint
// covers the record.
package chain

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
)

// The headers of a record that belong to its chain.
const (
	// HeaderDigest holds the record's digest. See DigestOf.
	HeaderDigest = "Outbound-Digest"
	// HeaderLink holds the record's place in its chain. See Link.
	HeaderLink = "Outbound-Chain"
)

// digestFormat begins what a digest is made of.
const digestFormat = "outbound record v1\n"

// Digest is the SHA-256 of a record. See DigestOf.
type Digest [sha256.Size]byte

// String is the digest in base64url.
func (d Digest) String() string { return base64.RawURLEncoding.EncodeToString(d[:]) }

// short is how a link names a digest: by its first 16 bytes.
func (d Digest) short() string { return base64.RawURLEncoding.EncodeToString(d[:shortLength]) }

const shortLength = 16

// ParseDigest reads what String writes.
func ParseDigest(s string) (d Digest, ok bool) {
	const text = 43 // of 32 bytes
	if len(s) != text {
		return d, false
	}
	var in [text]byte
	copy(in[:], s)
	n, err := base64.RawURLEncoding.Decode(d[:], in[:])
	return d, err == nil && n == len(d)
}

// Covered reports whether a header is part of a record: the message id, and our own but for the digest itself. The others say how the
// message was published, which may differ for the same record.
func Covered(header string) bool {
	return header == "Nats-Msg-Id" || strings.HasPrefix(header, "Outbound-") && header != HeaderDigest
}

// DigestOf is the digest of a record: the SHA-256 of a line that names the format, its subject and a line break, `name: value` and a line
// break for each header that is covered, by name, an empty line, and the data.
func DigestOf(subject string, headers map[string][]string, data []byte) Digest {
	const room = 512
	return sha256.Sum256(appendRecord(make([]byte, 0, room+len(data)), subject, headers, data))
}

// appendRecord appends what a digest is made of.
func appendRecord(to []byte, subject string, headers map[string][]string, data []byte) []byte {
	var room [8]string
	covered := room[:0]
	for name := range headers {
		if Covered(name) {
			covered = append(covered, name)
		}
	}
	slices.Sort(covered)
	to = append(append(append(to, digestFormat...), subject...), '\n')
	for _, name := range covered {
		for _, v := range headers[name] {
			to = append(append(append(append(to, name...), ": "...), v...), '\n')
		}
	}
	return append(append(to, '\n'), data...)
}
