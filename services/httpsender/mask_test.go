package httpsender_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/secret"
)

const canary = `canary/71+s3cr3t "x"`

// echoed are the ways in which a receiver repeats what it got.
func echoed() map[string]func(string) string {
	return map[string]func(string) string{
		"plain": func(s string) string { return s },
		"json": func(s string) string {
			b, _ := json.Marshal(s)
			return string(b)
		},
		"url":    url.QueryEscape,
		"base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"hex":    func(s string) string { return hex.EncodeToString([]byte(s)) },
		"decoded": func(s string) string {
			b, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "Basic "))
			return string(b)
		},
	}
}

func TestAnswersDoNotRepeatSecrets(t *testing.T) {
	key := bytes.Repeat([]byte("signing-"), 4)
	kinds := map[string]func(*recipient.Recipient){
		"basic": func(r *recipient.Recipient) {
			r.HTTP.Auth = recipient.Auth{Header: "Authorization",
				Value: "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+canary))}
		},
		"bearer": func(r *recipient.Recipient) {
			r.HTTP.Auth = recipient.Auth{Header: "Authorization", Value: "Bearer " + canary}
		},
		"api key": func(r *recipient.Recipient) { r.HTTP.Auth = recipient.Auth{Header: "X-Key", Value: canary} },
		"header":  func(r *recipient.Recipient) { r.HTTP.Headers = map[string]string{"X-Auth-Token": canary} },
		"url":     func(r *recipient.Recipient) { r.HTTP.URL += "?token=" + url.QueryEscape(canary) },
		"signing": func(r *recipient.Recipient) { r.HTTP.SigningSecrets = []recipient.SigningSecret{{ID: "s", Key: key}} },
	}
	send := newSender(t)
	n := 0
	for kind, with := range kinds {
		for name, encode := range echoed() {
			n++
			const status = http.StatusTeapot
			receiver := newReceiver(t, nil, func(w http.ResponseWriter, q *http.Request) {
				w.WriteHeader(status)
				fmt.Fprintf(w, "before %s after %s", encode(string(key)), encode(q.URL.RawQuery+q.URL.Query().Get("token")))
				for _, values := range q.Header {
					fmt.Fprintf(w, " %s", encode(values[0]))
				}
			})
			d := deliveryTo(receiver.URL, with)
			d.Recipient.ID = fmt.Sprintf("r%d", n)
			o := send.Send(context.Background(), d)
			text := string(o.Excerpt) + o.Detail + o.Remark + fmt.Sprint(send.Judge(d, o))
			if o.Status != status || !strings.Contains(text, "before") {
				t.Fatalf("%s %s: %+v", kind, name, o)
			}
			hidden := canary
			if kind == "signing" {
				hidden = string(key)
			}
			for _, form := range append(secret.Forms(hidden), base64.StdEncoding.EncodeToString([]byte("user:"+canary))) {
				if strings.Contains(text, form) {
					t.Errorf("%s %s: the answer shows %q: %s", kind, name, form, text)
				}
			}
		}
	}
	if n != len(kinds)*len(echoed()) {
		t.Errorf("%d answers were looked at", n)
	}
}

func TestASecretAtTheEndOfAnExcerptIsMasked(t *testing.T) {
	receiver := newReceiver(t, nil, func(w http.ResponseWriter, q *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(bytes.Repeat([]byte("x"), delivery.MaxExcerpt-len(canary)/2))
		fmt.Fprint(w, q.Header.Get("X-Key"), "more")
	})
	o := newSender(t).Send(context.Background(), deliveryTo(receiver.URL, func(r *recipient.Recipient) {
		r.HTTP.Auth = recipient.Auth{Header: "X-Key", Value: canary}
	}))
	if len(o.Excerpt) == 0 || len(o.Excerpt) > delivery.MaxExcerpt || bytes.Contains(o.Excerpt, []byte(canary[:5])) {
		t.Errorf("the excerpt ends %q", o.Excerpt[max(0, len(o.Excerpt)-40):])
	}
}
