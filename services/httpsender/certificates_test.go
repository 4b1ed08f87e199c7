package httpsender_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/trust"
)

// workshop is a folder in which openssl makes certificates.
type workshop struct {
	t   *testing.T
	dir string
}

func newWorkshop(t *testing.T) workshop { return workshop{t: t, dir: t.TempDir()} }

func (w workshop) path(name string) string { return filepath.Join(w.dir, name) }

func (w workshop) read(name string) string {
	w.t.Helper()
	b, err := os.ReadFile(w.path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// openssl runs openssl with arguments that hold no blanks.
func (w workshop) openssl(args string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "openssl", strings.Fields(args)...)
	cmd.Dir = w.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("openssl %s: %v\n%s", args, err, out)
	}
}

// issue makes name.pem and name.key, signed by itself, or by an issuer that was made before, with the lines of extensions; none: a
// certificate of version 1. More are further arguments. The key of the one named server is RSA.
func (w workshop) issue(name, issuer, more string, extensions ...string) {
	w.t.Helper()
	key := "ec -pkeyopt ec_paramgen_curve:prime256v1"
	if name == "server" {
		key = "rsa:2048"
	}
	w.openssl("req -new -newkey " + key + " -nodes -subj /CN=" + name + " -keyout " + name + ".key -out " + name + ".csr")
	by := "-signkey " + name + ".key"
	if issuer != "" {
		by = "-CA " + issuer + ".pem -CAkey " + issuer + ".key -set_serial 77"
	}
	if len(extensions) > 0 {
		if err := os.WriteFile(w.path("ext"), []byte(strings.Join(extensions, "\n")), 0o600); err != nil {
			w.t.Fatal(err)
		}
		by += " -extfile ext"
	}
	w.openssl("x509 -req -in " + name + ".csr -days 30 -out " + name + ".pem " + by + " " + more)
}

// pair is what a server presents: the certificates of names, with the key of the first.
func (w workshop) pair(names ...string) tls.Certificate {
	w.t.Helper()
	var chain strings.Builder
	for _, n := range names {
		chain.WriteString(w.read(n + ".pem"))
	}
	pair, err := tls.X509KeyPair([]byte(chain.String()), []byte(w.read(names[0]+".key")))
	if err != nil {
		w.t.Fatal(err)
	}
	return pair
}

const (
	here    = "subjectAltName=IP:127.0.0.1"
	another = "subjectAltName=DNS:other.example.com"
)

// TestCertificates has a server for each kind of certificate, with what is uploaded for it.
func TestCertificates(t *testing.T) {
	w := newWorkshop(t)
	w.issue("plain", "", "", here)
	w.issue("notca", "", "", here, "basicConstraints=CA:FALSE")
	w.issue("mail", "", "", here, "basicConstraints=CA:FALSE", "extendedKeyUsage=emailProtection")
	w.issue("nosan", "", "", "basicConstraints=CA:FALSE")
	w.issue("one", "", "")
	w.issue("other", "", "", another, "basicConstraints=CA:FALSE")
	w.issue("v1root", "", "")
	w.issue("ofv1", "v1root", "", here, "basicConstraints=CA:FALSE")
	w.issue("root", "", "", "basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign")
	w.issue("middle", "root", "", "basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign")
	w.issue("leaf", "middle", "", here)
	w.issue("sha1", "root", "-sha1", here)
	w.issue("named", "root", "", "basicConstraints=CA:FALSE")
	for name, c := range map[string]struct {
		server, uploaded []string
		words            string // empty: delivered
	}{
		"self-signed without basicConstraints": {[]string{"plain"}, []string{"plain"}, ""},
		"self-signed, CA:FALSE":                {[]string{"notca"}, []string{"notca"}, ""},
		"self-signed, for mail":                {[]string{"mail"}, []string{"mail"}, ""},
		"self-signed without subjectAltName":   {[]string{"nosan"}, []string{"nosan"}, ""},
		"self-signed, version 1":               {[]string{"one"}, []string{"one"}, ""},
		"pinned beside others":                 {[]string{"notca"}, []string{"root", "plain", "notca"}, ""},
		"another one pinned":                   {[]string{"notca"}, []string{"plain"}, "self-signed"},
		"pinned, for another host":             {[]string{"other"}, []string{"other"}, "not for 127.0.0.1 but for other.example.com"},
		"signed by a root of version 1":        {[]string{"ofv1"}, []string{"v1root"}, ""},
		"nothing uploaded":                     {[]string{"notca"}, nil, "self-signed"},
		"chain complete":                       {[]string{"leaf", "middle"}, []string{"root"}, ""},
		"intermediate missing":                 {[]string{"leaf"}, []string{"root"}, "sent no intermediate certificate"},
		"intermediate missing, but uploaded":   {[]string{"leaf"}, []string{"middle"}, ""},
		"intermediate missing, leaf pinned":    {[]string{"leaf"}, []string{"leaf"}, ""},
		"SHA-1":                                {[]string{"sha1"}, []string{"root"}, "signed with ECDSA-SHA1"},
		"SHA-1, pinned":                        {[]string{"sha1"}, []string{"sha1"}, ""},
		"no subjectAltName":                    {[]string{"named"}, []string{"root"}, "it has no subjectAltName, only the common name"},
		"no subjectAltName, pinned":            {[]string{"named"}, []string{"named"}, ""},
		"not the root":                         {[]string{"leaf", "middle"}, []string{"v1root"}, "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, &tls.Config{Certificates: []tls.Certificate{w.pair(c.server...)}}, func(http.ResponseWriter, *http.Request) {})
			var uploaded strings.Builder
			for _, n := range c.uploaded {
				uploaded.WriteString("\ufeff" + strings.ReplaceAll(w.read(n+".pem"), "\n", "\r"))
			}
			s := newSender(t)
			// Twice, so that a session is resumed.
			for range 2 {
				o, v := attempt(t, s, deliveryTo(r.URL, func(r *recipient.Recipient) { r.HTTP.CAPEM = uploaded.String() }))
				refused := o.Fault == delivery.FaultTLS && strings.Contains(v.Detail, c.words)
				if c.words == "" && v.Kind != delivery.Delivered || c.words != "" && !refused {
					t.Errorf("got %+v, %+v, want words like %q", o, v, c.words)
				}
				r.CloseClientConnections()
			}
			if n := r.requests.Load(); (n == 2) != (c.words == "") || c.words != "" && n != 0 {
				t.Errorf("%d requests arrived", n)
			}
		})
	}
}

// TestPinnedCertificateExpires pins a certificate that has expired.
func TestPinnedCertificateExpires(t *testing.T) {
	w := newWorkshop(t)
	w.issue("old", "", "-days -1", here)
	r := newReceiver(t, &tls.Config{Certificates: []tls.Certificate{w.pair("old")}}, func(http.ResponseWriter, *http.Request) {})
	o, v := attempt(t, newSender(t), deliveryTo(r.URL, func(r *recipient.Recipient) { r.HTTP.CAPEM = w.read("old.pem") }))
	if o.Fault != delivery.FaultTLS || !strings.Contains(v.Detail, "expired on") {
		t.Errorf("got %+v, %+v", o, v)
	}
}

// TestDoctorOffersTheCertificateItself pins what the doctor offers, until all is well.
func TestDoctorOffersTheCertificateItself(t *testing.T) {
	w := newWorkshop(t)
	w.issue("notca", "", "", here, "basicConstraints=CA:FALSE")
	w.issue("one", "", "")
	w.issue("root", "", "", "basicConstraints=critical,CA:TRUE")
	w.issue("sha1", "root", "-sha1", here)
	for _, name := range []string{"notca", "one", "sha1"} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, &tls.Config{Certificates: []tls.Certificate{w.pair(name)}}, func(http.ResponseWriter, *http.Request) {})
			report := probed(t, r.URL, "")
			last := report.Steps[len(report.Steps)-1]
			if last.OK || last.Name != egress.StepTLS || report.RootToPin == "" || !strings.Contains(last.Remedy, "http.caCertificatePem") {
				t.Fatalf("the walk ended with %+v and offered %q", last, report.RootToPin)
			}
			report = probed(t, r.URL, report.RootToPin)
			if last = report.Steps[len(report.Steps)-1]; !last.OK || !strings.Contains(last.Detail, "pinned") {
				t.Errorf("the walk ended with %+v", last)
			}
		})
	}
}

// probed is the doctor's walk to a receiver with certificates uploaded for it.
func probed(t *testing.T, to, uploaded string) egress.Report {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := egress.NewGuard([]string{"127.0.0.0/8"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	anchors, err := trust.New(uploaded)
	if err != nil {
		t.Fatal(err)
	}
	var r egress.Report
	egress.Probe(t.Context(), egress.TransportOptions{Guard: guard, Anchors: anchors, Timeout: 10 * time.Second, MaxConns: 1}, u, &r)
	return r
}

func TestTheCertificateOfTheReceiverIsSeenAtEachDelivery(t *testing.T) {
	ca := newAuthority(t, "our root")
	until := time.Now().Add(72 * time.Hour).UTC().Truncate(time.Second)
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, func(c *x509.Certificate) { c.NotAfter = until })}}
	r := newReceiver(t, config, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	s := newSender(t)
	for i := range 3 {
		o, _ := attempt(t, s, deliveryTo(r.URL, func(r *recipient.Recipient) { r.HTTP.CAPEM = ca.pem }))
		if o.Status != http.StatusInternalServerError || o.Certificate == nil || !o.Certificate.NotAfter.Equal(until) {
			t.Errorf("attempt %d: %+v", i, o)
		}
	}
	plain := newReceiver(t, nil, func(http.ResponseWriter, *http.Request) {})
	if o, _ := attempt(t, newSender(t), deliveryTo(plain.URL)); o.Certificate != nil {
		t.Errorf("without TLS: %+v", o)
	}
}
