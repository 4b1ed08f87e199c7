package e2e_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/emersion/go-message/mail"
	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/smtptest"
)

// chainOf is a private key and its certificate for a relay on loopback, in PEM.
func chainOf(t *testing.T, ca *smtptest.CA) []byte {
	t.Helper()
	c := ca.Issue(t, "127.0.0.1")
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})...)
}

// parts reads a mail with a parser that has nothing to do with what wrote it: its header, and its texts by media type.
func parts(t *testing.T, raw []byte) (mail.Header, map[string]string) {
	t.Helper()
	r, err := mail.CreateReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("the mail can't be read: %v\n%s", err, raw)
	}
	out := map[string]string{}
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return r.Header, out
		}
		if err != nil {
			t.Fatalf("a part can't be read: %v\n%s", err, raw)
		}
		body, err := io.ReadAll(p.Body)
		if err != nil {
			t.Fatalf("a part's body can't be read: %v\n%s", err, raw)
		}
		h, ok := p.Header.(*mail.InlineHeader)
		if !ok {
			t.Fatalf("the mail has an attachment: %v", p.Header)
		}
		kind, _, err := h.ContentType()
		if err != nil || out[kind] != "" {
			t.Fatalf("a part has the type %q, again or not at all: %v", kind, err)
		}
		out[kind] = strings.ReplaceAll(string(body), "\r\n", "\n")
	}
}

func subjectOf(t *testing.T, h mail.Header) string {
	t.Helper()
	s, err := h.Subject()
	if err != nil {
		t.Errorf("the subject can't be read: %v", err)
	}
	return s
}

// TestMailLandsInTheMailboxesOfARealRelay sends through postfix, over STARTTLS with a certificate of our own authority, and reads
// what lies in the mailboxes then. An address that the relay does not know is refused, which harms no other.
func TestMailLandsInTheMailboxesOfARealRelay(t *testing.T) {
	t.Parallel()
	shapes(t, func(t *testing.T, h *harness.System) {
		ca := smtptest.NewCA(t)
		relay := harness.StartPostfix(t, chainOf(t, ca), "one", "two", "three", "root")
		h.REST.Do(t, http.MethodPatch, "/v1/settings/smtp", harness.Object{
			"host": relay.Host(), "port": relay.Port(), "encryption": "STARTTLS", "caCertificatePem": ca.PEM,
			"fromAddress": "outbound@example.com", "fromName": "Außendienst",
		})
		a := h.AddAppliance(t, "postfix-1")
		const body, html = "Session %LSID%\n.\n..two dots\nGrüße an „%EXTERNAL_KEY%“ ✓\nFrom here\n",
			"<p>Session <b>%LSID%</b> of %EXTERNAL_KEY%</p>"
		add := func(name string, email harness.Object) string {
			email["subject"] = "Über %EXTERNAL_KEY%"
			email["body"] = body
			return h.AddRecipient(t, harness.Object{"displayName": name, "eventTypes": []string{"support_conference_end"}, "email": email})
		}
		text := add("Text", harness.Object{"addresses": []string{relay.Address("one"), relay.Address("unknown"), relay.Address("two")}})
		both := add("HTML", harness.Object{"addresses": []string{relay.Address("three")}, "htmlBody": html})
		lost := add("Lost", harness.Object{"addresses": []string{relay.Address("nobody")}})
		e := harness.NewEvent(a.ID, "e-1", "support_conference_end", harness.Object{"external_key": `INC <1> & "2"`})
		publish(t, a, e)
		settled(t, h, []string{text, both}, map[string]int{"DELIVERED": 1})
		settled(t, h, []string{lost}, map[string]int{"REJECTED": 1})

		const key = `INC <1> & "2"`
		want := "Session " + e.Subject + "\n.\n..two dots\nGrüße an „" + key + "“ ✓\nFrom here\n"
		ids := map[string]bool{}
		for _, box := range []string{"one", "two", "three"} {
			mails := relay.Await(t, box, 1)
			if len(mails) != 1 {
				t.Fatalf("mailbox %s got %d mails, want 1", box, len(mails))
			}
			head, texts := mailOf(t, mails[0], a.ID, e)
			if diff := cmp.Diff("Über "+key, subjectOf(t, head)); diff != "" {
				t.Errorf("subject (-want +got):\n%s", diff)
			}
			if from, err := head.AddressList("From"); err != nil || len(from) != 1 || from[0].Name != "Außendienst" ||
				from[0].Address != "outbound@example.com" {
				t.Errorf("from %v (%v)", from, err)
			}
			if diff := cmp.Diff(want, texts["text/plain"]); diff != "" {
				t.Errorf("text in mailbox %s (-want +got):\n%s", box, diff)
			}
			if box != "three" && len(texts) != 1 {
				t.Errorf("mailbox %s has parts %v, want text alone", box, texts)
			}
			if box == "three" && !strings.Contains(texts["text/html"], "<p>Session <b>"+e.Subject+"</b> of INC &lt;1&gt; &amp; &#34;2&#34;</p>") {
				t.Errorf("HTML in mailbox %s: %q", box, texts["text/html"])
			}
			ids[head.Get("Message-Id")] = true
		}
		if len(ids) != 3 || ids[""] {
			t.Errorf("the mails of three addresses have the ids %v", ids)
		}
		refusedOf(t, h, text, lost)
	})
}

// mailOf reads the mail that tells of an event.
func mailOf(t *testing.T, raw []byte, appliance string, e harness.Event) (mail.Header, map[string]string) {
	t.Helper()
	head, texts := parts(t, raw)
	if got := head.Get("X-Outbound-Event-Id"); got != e.Key() || head.Get("Auto-Submitted") != "auto-generated" || head.Get("Received") == "" {
		t.Errorf("the mail of appliance %s is of %q, want %q:\n%s", appliance, got, e.Key(), raw)
	}
	if _, err := head.Date(); err != nil {
		t.Errorf("its date can't be read: %v", err)
	}
	return head, texts
}

// refusedOf checks that the deliveries say who was refused.
func refusedOf(t *testing.T, h *harness.System, partly, wholly string) {
	t.Helper()
	for id, want := range map[string]string{partly: "partly_delivered", wholly: "smtp_refused"} {
		list, _ := h.REST.Do(t, http.MethodGet, "/v1/deliveries?recipient_id="+id, nil)["deliveries"].([]any)
		if len(list) != 1 {
			t.Fatalf("%s has %d deliveries, want 1", id, len(list))
		}
		d := list[0].(harness.Object)
		if d["reason"] != want || !strings.Contains(fmt.Sprint(d["detail"], d["lastError"]), "550") {
			t.Errorf("%s: %v", id, d)
		}
	}
}
