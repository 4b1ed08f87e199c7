package mime_test

import (
	"bytes"
	"errors"
	"net/mail"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/mime"
	"github.com/outbound-events/outbound/pkg/render"
)

func message() mime.Message {
	return mime.Message{
		From: "outbound@example.com", FromName: "Outbound", To: "ops@example.com", Date: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		ID: mime.Identity("a"), Text: render.Mail{Subject: "s", Body: "text", HTML: "<p>html</p>"},
	}
}

func TestTheSameMessageGivesTheSameBytes(t *testing.T) {
	a, err := mime.Write(message())
	if err != nil {
		t.Fatal(err)
	}
	b, err := mime.Write(message())
	if err != nil || !bytes.Equal(a.Data, b.Data) {
		t.Errorf("%v\n%s\nand\n%s", err, a.Data, b.Data)
	}
}

func TestFaultsOfTheSenderAreToldFromThoseOfTheAddress(t *testing.T) {
	for _, address := range []string{"", "no address", `"a b"@example.com`, "a@[192.0.2.1]", "a\r\nb@example.com", "a@", "a@b@c",
		"Ops <ops@example.com>"} {
		m := message()
		m.To = address
		var ours *mime.SenderError
		if _, err := mime.Write(m); err == nil || errors.As(err, &ours) {
			t.Errorf("to %q: %v", address, err)
		}
		m = message()
		m.From = address
		if _, err := mime.Write(m); !errors.As(err, &ours) {
			t.Errorf("from %q: %v", address, err)
		}
	}
}

func TestAWordBeyondASCIINeedsNoUTF8AnAddressDoes(t *testing.T) {
	m := message()
	m.Text.Subject, m.FromName = "Größe =?utf-8?q?x?=", "Büro"
	l, err := mime.Write(m)
	if err != nil || l.UTF8 {
		t.Fatalf("%v, %v", l, err)
	}
	if read, err := mail.ReadMessage(bytes.NewReader(l.Data)); err != nil ||
		bytes.ContainsFunc(l.Data, func(r rune) bool { return r > 0x7e }) {
		t.Errorf("%v: %v", read, err)
	}
	m.To = "größe@example.com"
	if l, err = mime.Write(m); err != nil || !l.UTF8 {
		t.Errorf("%v, %v", l, err)
	}
}
