package render_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/render"
)

// verify asks the reference implementation.
func verify(t *testing.T, key []byte, id string, at time.Time, body []byte, signature string) error {
	t.Helper()
	w, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("webhook-signature", signature)
	return w.VerifyIgnoringTimestamp(body, h)
}

func TestEachKeySignsForTheReferenceImplementation(t *testing.T) {
	id, at, body := "appliance-1~e-1", time.Unix(1_700_000_000, 5), []byte("event=x&lsid=")
	keys := [][]byte{[]byte("the old key of 24 bytes."), []byte("the new key of 24 bytes.")}
	signature := render.Sign(id, at, body, recipient.SigningSecret{Key: keys[0], Expire: at.Add(time.Second)},
		recipient.SigningSecret{Key: keys[1]})
	for _, key := range keys {
		if err := verify(t, key, id, at, body, signature); err != nil {
			t.Errorf("key %q: %v", key, err)
		}
	}
	for what, err := range map[string]error{
		"a third key":    verify(t, []byte("another key of 24 bytes."), id, at, body, signature),
		"another id":     verify(t, keys[0], id+"x", at, body, signature),
		"another time":   verify(t, keys[0], id, at.Add(time.Second), body, signature),
		"another body":   verify(t, keys[0], id, at, append(body, 'x'), signature),
		"no signature":   verify(t, keys[0], id, at, body, render.Sign(id, at, body)),
		"one expired":    verify(t, keys[0], id, at, body, render.Sign(id, at, body, recipient.SigningSecret{Key: keys[0], Expire: at})),
		"one of another": verify(t, keys[0], id, at, body, render.Sign(id, at, body, recipient.SigningSecret{Key: keys[1]})),
	} {
		if err == nil {
			t.Errorf("verified with %s", what)
		}
	}
}

// The vector is the one of the specification's libraries.
func TestSignKnowsTheSpecificationsVector(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := render.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`),
		recipient.SigningSecret{Key: key})
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature is %s, want %s", got, want)
	}
}

// The vector is the one of the server whose authors wrote the specification; its example of the header has the same signature.
func TestKeyPairKnowsThePublishedVector(t *testing.T) {
	const pair = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
	key, err := credential.ParseEd25519Secret(pair)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1614265330, 0)
	got := render.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, []byte(`{"test": 2432232314}`), recipient.SigningSecret{Key: key, Ed25519: true})
	if want := "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="; got != want {
		t.Errorf("signature is %s, want %s", got, want)
	}
}

func TestSecretsOfBothKindsSignSideBySide(t *testing.T) {
	id, at, body := "appliance-1~e-1", time.Unix(1_700_000_000, 5), []byte("event=x&lsid=")
	shared := []byte("the one key of 24 bytes.")
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signature := render.Sign(id, at, body,
		recipient.SigningSecret{Key: private, Ed25519: true, Expire: at}, recipient.SigningSecret{Key: shared},
		recipient.SigningSecret{Key: private, Ed25519: true, Expire: at.Add(time.Hour)})
	parts := strings.Split(signature, " ")
	if len(parts) != 2 {
		t.Fatalf("signed %q, want two: one of the three has expired", signature)
	}
	if err := verify(t, shared, id, at, body, signature); err != nil {
		t.Errorf("beside a key pair's signature the shared secret's is not found: %v", err)
	}
	pair, ok := strings.CutPrefix(parts[1], "v1a,")
	raw, err := base64.StdEncoding.DecodeString(pair)
	if !ok || err != nil || !ed25519.Verify(public, []byte("appliance-1~e-1.1700000000.event=x&lsid="), raw) {
		t.Errorf("%q does not verify (%v)", parts[1], err)
	}
	if ed25519.Verify(public, []byte("appliance-1~e-1.1700000001.event=x&lsid="), raw) {
		t.Error("it verifies at another time too")
	}
}
