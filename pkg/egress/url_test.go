package egress_test

import "testing"

func TestLiteralAddressesAreToldAtOnce(t *testing.T) {
	g := guard(t, []string{"10.0.0.0/8"}, nil)
	for url, want := range map[string]bool{
		"https://10.1.2.3/": true, "https://8.8.8.8/": true, "https://receiver.example.com/": true,
		"https://127.0.0.1:8443/": false, "https://[::1]/": false, "https://[::ffff:169.254.169.254]/": false,
	} {
		if err := g.CheckLiteral(url); (err == nil) != want {
			t.Errorf("%s: %v", url, err)
		}
	}
}
