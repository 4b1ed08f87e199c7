package process_test

import (
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/process"
)

func TestPlainTextStaysOnLoopback(t *testing.T) {
	for address, exposed := range map[string]bool{
		"127.0.0.1:8080": false, "127.9.9.9:0": false, "[::1]:8080": false, "[::ffff:127.0.0.1]:1": false, "localhost:8080": false,
		"0.0.0.0:8080": true, ":8080": true, "[::]:8080": true, "10.0.0.1:8080": true, "192.0.2.7:1": true, "[fe80::1]:1": true,
		"[::ffff:0.0.0.0]:1": true, "nowhere.invalid:1": true,
	} {
		if got := process.Exposed(address); got != exposed {
			t.Errorf("%s: exposed %v, want %v", address, got, exposed)
		}
		plain := process.Transport{Remedy: "set tls.certFile"}.Check(address)
		if (plain != nil) != exposed {
			t.Errorf("%s in plain text: %v", address, plain)
		}
		if exposed && (!strings.Contains(plain.Error(), "--insecure") || strings.Contains(plain.Error(), "\n")) {
			t.Errorf("%s: %v", address, plain)
		}
		for _, allowed := range []process.Transport{{TLS: true}, {Insecure: true}} {
			if err := allowed.Check(address); err != nil {
				t.Errorf("%s with %+v: %v", address, allowed, err)
			}
		}
	}
}
