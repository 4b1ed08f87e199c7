package render_test

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

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
	signature := render.Sign(id, at, body, keys...)
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
		"one of another": verify(t, keys[0], id, at, body, render.Sign(id, at, body, keys[1])),
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
	got := render.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`), key)
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature is %s, want %s", got, want)
	}
}
