package mime_test

import (
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/mime"
)

// FuzzMailbox checks addresses: one that is accepted can end no command of SMTP and has the form that it stays in.
func FuzzMailbox(f *testing.F) {
	for _, s := range []string{"a@example.com", "a@[127.0.0.1]", `"x y> ORCPT=q <z"@h.com`, "a@b\r\nRCPT TO:<c@d>",
		"ü@bücher.example", "a@b@c", "A <a@b.c>", "a@xn--a", "a@b.", "@", "a@例え.テスト"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		got, err := mime.Mailbox(address)
		if err != nil {
			if len(err.Error()) > 200 {
				t.Errorf("%q is refused with %q", address, err)
			}
			return
		}
		local, domain, _ := strings.Cut(got, "@")
		if local == "" || domain == "" || strings.ContainsAny(got, " \t\r\n\x00<>\"()[],;:\\") || strings.ContainsFunc(domain, beyondASCII) {
			t.Fatalf("%q is accepted as %q", address, got)
		}
		if again, err := mime.Mailbox(got); err != nil || again != got {
			t.Errorf("%q becomes %q, and that %q, %v", address, got, again, err)
		}
	})
}

func beyondASCII(r rune) bool { return r > 0x7e }
