package recipient_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/recipient/credential"
)

func TestKeyPairIsReadFromItsSeedAndInFull(t *testing.T) {
	seed := bytes.Repeat([]byte{1}, ed25519.SeedSize)
	pair := ed25519.NewKeyFromSeed(seed)
	write := func(key []byte) string { return "whsk_" + base64.StdEncoding.EncodeToString(key) }
	for name, text := range map[string]string{"seed": write(seed), "both halves": write(pair),
		"as written": credential.FormatEd25519Secret(pair)} {
		got, err := credential.ParseEd25519Secret(text)
		if err != nil || !got.Equal(pair) || !credential.IsEd25519Secret(text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	want := "whpk_" + base64.StdEncoding.EncodeToString(pair.Public().(ed25519.PublicKey))
	if got := credential.FormatEd25519Public(pair); got != want {
		t.Errorf("the public half is %s, want %s", got, want)
	}
	mixed := append(bytes.Clone(seed), bytes.Repeat([]byte{2}, 32)...)
	for name, text := range map[string]string{
		"nothing": "", "prefix alone": "whsk_", "a shared secret": credential.FormatSigningSecret(seed), "no base64": "whsk_!canary!",
		"short": write(seed[:31]), "long": write(append(bytes.Clone(pair), 1)), "halves of two pairs": write(mixed), "the public half": want,
	} {
		if _, err := credential.ParseEd25519Secret(text); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
