package httpsender_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/certtest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/httpsender"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// newSender sends to loopback, over http as well.
func newSender(t testing.TB, customFields ...string) delivery.Sender {
	o := httpsender.DefaultOptions()
	o.URLPolicy, o.AllowEgress = "any", []string{"127.0.0.0/8"}
	return httpsender.NewSender(t, o, customFields...)
}

// deliveryTo is a delivery to url; change may alter the recipient.
func deliveryTo(url string, change ...func(*recipient.Recipient)) *delivery.Delivery {
	r := &recipient.Recipient{
		ID: "crm", Enabled: true, Revision: 1, StartSequence: 1, MaxInFlight: 4,
		Retry: recipient.Retry{Interval: 30 * time.Second, Duration: time.Hour},
		HTTP:  &recipient.HTTPTarget{URL: url, Format: recipient.Form, Success: recipient.Status200, Timeout: 5 * time.Second},
	}
	for _, f := range change {
		f(r)
	}
	return &delivery.Delivery{Recipient: r, Event: joined(), Accepted: time.Now(), Attempt: 1}
}

func timeout(d time.Duration) func(*recipient.Recipient) {
	return func(r *recipient.Recipient) { r.HTTP.Timeout = d }
}

func joined() *event.Event {
	return &event.Event{
		ID: "e-1", Appliance: "appliance-1", Type: "support_conference_member_added",
		Time: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), Session: "0123456789abcdef0123456789abcdef", ExternalKey: "INC-1",
		Custom:    []event.Variable{{Name: "region", Value: "emea"}, {Name: "salary", Value: "1"}},
		Variables: []event.Variable{{Name: "display_name", Value: "Ada Lovelace"}, {Name: "type", Value: "representative"}},
		Raw: []byte(`{"specversion":"1.0","id":"e-1","source":"appliance-1","type":"support_conference_member_added",` +
			`"time":"2026-11-21T10:00:00Z","subject":"0123456789abcdef0123456789abcdef","datacontenttype":"application/json",` +
			`"data":{"external_key":"INC-1","custom_fields":{"region":"emea","salary":1},"display_name":"Ada Lovelace","type":"representative"}}`),
	}
}

// authority signs certificates of receivers.
type authority struct {
	certtest.Pair
	pem  string
	cert *x509.Certificate
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	p := certtest.Authority(t, name)
	return &authority{Pair: p, pem: p.PEM, cert: p.Cert}
}

// issue makes a certificate for 127.0.0.1 that change may alter.
func (a *authority) issue(t testing.TB, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	return a.Issue(t, func(c *x509.Certificate) {
		c.Subject.CommonName, c.IPAddresses = "receiver", []net.IP{net.IPv4(127, 0, 0, 1)}
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if change != nil {
			change(c)
		}
	}).TLS()
}

// receiver is a real HTTP server that counts.
type receiver struct {
	*httptest.Server
	requests, connections atomic.Int64
	// closed gets a value for each connection that has ended.
	closed chan struct{}
}

func newReceiver(t testing.TB, config *tls.Config, handle http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{closed: make(chan struct{}, 1024)}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.requests.Add(1)
		handle(w, q)
	}))
	r.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			r.connections.Add(1)
		case http.StateClosed:
			select {
			case r.closed <- struct{}{}:
			default:
			}
		default: // neither beginning nor end
		}
	}
	r.Config.ErrorLog = quiet()
	if config != nil {
		r.TLS = config
		r.StartTLS()
	} else {
		r.Start()
	}
	t.Cleanup(r.Close)
	return r
}

// rawReceiver speaks what a script says over bare TCP. serve gets each connection with its number, from 1.
func rawReceiver(t testing.TB, serve func(n int, c net.Conn)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(n, c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return "http://" + l.Addr().String() + "/hook?token=canary"
}

// untilClosed reads until the other side closes.
func untilClosed(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
