package httpsender

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/lease"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/pkg/token"
	"github.com/outbound-events/outbound/pkg/trust"
)

// maxDiscard is how much of an answer is read beyond its excerpt to keep the connection. A longer one costs the connection.
const maxDiscard = 48 << 10

// sender is delivery.Sender for HTTP recipients.
type sender struct {
	guard      *egress.Guard
	policy     recipient.URLPolicy
	maxTimeout time.Duration
	userAgent  string
	resolver   *net.Resolver
	proxy      *egress.Proxy
	// now is the broker's clock: receivers refuse signatures whose time is off, and attempts are compared with times of the broker.
	now func() time.Time
	// customFields are the code names that may be sent, sorted.
	customFields func() []string

	mu      sync.RWMutex
	clients map[string]*client

	buffers sync.Pool
}

func newSender(o Options, guard *egress.Guard, version string, customFields func() []string) *sender {
	s := &sender{
		guard: guard, policy: o.URLPolicy, maxTimeout: o.MaxTimeout, userAgent: "Outbound/" + version,
		customFields: customFields, clients: map[string]*client{}, now: time.Now,
	}
	s.buffers.New = func() any { return new([delivery.MaxExcerpt]byte) }
	return s
}

// client is one recipient's way out: its compiled settings and its transport with the connections that are kept.
type client struct {
	*target
	transport *http.Transport
	// options are those of the transport.
	options egress.TransportOptions
	request http.Request
	// tokens are set if the recipient has OAuth 2.0.
	tokens *token.Source
	// mask hides the recipient's secrets in answers.
	mask *answerMask
	// fault, if set, is why no request can be made; every attempt ends with it.
	fault  delivery.Fault
	detail string
	// born is where the recipient's events begin and revision counts its changes: a recipient deleted and made again under
	// the same id is born later.
	born, revision uint64
}

// Send makes one attempt and reports what it saw. A connection that was kept and breaks before any byte of the answer may have
// been closed by the receiver while idle: the request is then sent once more on a new one, within the same attempt.
func (s *sender) Send(ctx context.Context, d *delivery.Delivery) (o delivery.Outcome) {
	began := time.Now()
	o = delivery.Outcome{Began: s.now(), Fault: delivery.FaultNone}
	c := s.client(d.Recipient)
	if c.fault != 0 {
		o.Fault, o.Detail = c.fault, c.detail
		return o
	}
	ctx, span := startRequest(ctx, c.URL, d.Attempt)
	defer func() { endRequest(span, o) }()
	// Without a span of its own an attempt belongs to the trace of the event's acceptance.
	header, body, err := c.target.request(d, render.Sending{
		At: o.Began, TraceParent: cmp.Or(telemetry.TraceParent(ctx), d.TraceParent), Custom: s.customFields(),
	})
	if err != nil {
		o.Fault, o.Detail = delivery.FaultRender, err.Error()
		return o
	}
	s.exchange(ctx, c, header, payload{data: body, lease: d.Lease}, &o)
	c.mask.outcome(&o)
	o.Took = time.Since(began)
	return o
}

// exchange posts and reads the answer, within the recipient's timeout.
func (s *sender) exchange(parent context.Context, c *client, header http.Header, body payload, o *delivery.Outcome) {
	ctx, cancel := context.WithTimeout(parent, c.timeout)
	defer cancel()
	resp := c.authorized(parent, ctx, header, body, o)
	if resp == nil || c.refusedByProxy(resp, o) {
		return
	}
	o.Status = resp.StatusCode
	o.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), s.now())
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		o.Detail = pointsTo(c.URL, resp.Header.Get("Location"))
	}
	s.read(resp, o)
}

// try posts, once more on a new connection if a kept one was gone. The answer is nil when the outcome says why there is none.
func (c *client) try(parent, ctx context.Context, header http.Header, body payload, o *delivery.Outcome) *http.Response {
	f := &flight{}
	resp, err := c.post(ctx, f, header, body)
	if err != nil && f.staleConnection(ctx) {
		c.transport.CloseIdleConnections() // the others are as old
		f = &flight{}
		resp, err = c.post(ctx, f, header, body)
	}
	if f.conn != nil {
		o.Certificate = f.conn.Certificate()
	}
	if err == nil {
		return resp
	}
	if resp, note := f.salvage(err); resp != nil {
		o.Remark = note
		return resp
	}
	o.Fault, o.Detail = explain(parent, ctx, f, c.timeout, err)
	if o.Fault == delivery.FaultCut && f.conn != nil && f.conn.CertificateAsked() {
		o.Detail += egress.AskedWords(c.options.Certificate != nil)
	}
	return nil
}

// flight is what is known of one request under way.
type flight struct {
	connected, reused bool
	answered, overdue atomic.Bool
	conn              *egress.Conn
}

// got takes in the connection that the request goes over.
func (f *flight) got(i httptrace.GotConnInfo) {
	f.connected, f.reused = true, i.Reused
	if f.conn, _ = i.Conn.(*egress.Conn); f.conn != nil {
		f.conn.KeepAnswer()
	}
}

// salvage reads an answer that the transport could not read; nil if there is none. A connection that broke has none.
func (f *flight) salvage(err error) (*http.Response, string) {
	var n net.Error
	if f.conn == nil || !f.answered.Load() || errors.As(err, &n) || errors.Is(err, context.Canceled) {
		return nil, ""
	}
	return salvage(f.conn.Answer())
}

// payload is what is posted, and for how long it may be.
type payload struct {
	data  []byte
	lease lease.Lease
}

// errOverdue breaks a request off before anything of it is sent.
var errOverdue = errors.New("the broker may have handed the event to another sender")

// staleConnection reports whether a request failed because its kept connection was gone.
func (f *flight) staleConnection(ctx context.Context) bool {
	return f.reused && !f.answered.Load() && !f.overdue.Load() && ctx.Err() == nil
}

func (c *client) post(ctx context.Context, f *flight, header http.Header, body payload) (*http.Response, error) {
	data := bytes.NewReader(body.data)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			f.got(i)
			// Connecting and getting a token may have taken long, and this process may have been stopped meanwhile. A body that is shorter
			// than its length breaks the request off before anything is written.
			if body.lease.Over() {
				f.overdue.Store(true)
				data.Reset(nil)
			}
		},
		GotFirstResponseByte: func() { f.answered.Store(true) },
	})
	// Without GetBody net/http repeats nothing on its own.
	r := c.request.WithContext(ctx)
	r.Header = header
	// net/http writes header and body at once if it knows the reader.
	r.Body, r.ContentLength = io.NopCloser(data), int64(len(body.data))
	resp, err := c.transport.RoundTrip(r)
	if err == nil && f.conn != nil {
		f.conn.Answer() // nothing more is kept
	}
	return resp, err
}

// read takes the excerpt of an answer. The status is known by now and decides, so a body that breaks off is only mentioned.
func (s *sender) read(resp *http.Response, o *delivery.Outcome) {
	// What is left of the answer is of no interest, nor is how its connection ends.
	defer func() { _ = resp.Body.Close() }()
	if resp.Body == http.NoBody {
		return
	}
	buf := s.buffers.Get().(*[delivery.MaxExcerpt]byte)
	defer s.buffers.Put(buf)
	n, err := 0, error(nil)
	for n < len(buf) && err == nil {
		var k int
		k, err = resp.Body.Read(buf[n:])
		n += k
	}
	if n > 0 {
		o.Excerpt = bytes.Clone(buf[:n])
	}
	if err == nil {
		_, err = io.CopyN(io.Discard, resp.Body, maxDiscard)
	}
	if err != nil && !errors.Is(err, io.EOF) && o.Detail == "" {
		o.Detail = "the connection broke while reading the response body"
	}
}

// explain finds the fault in an error of the transport and says it in words, without the URL's path and query.
func explain(parent, ctx context.Context, f *flight, timeout time.Duration, err error) (delivery.Fault, string) {
	var dial *egress.DialError
	var op *net.OpError
	switch {
	case f.overdue.Load():
		return delivery.FaultOverdue, errOverdue.Error() + ", so nothing was sent"
	case errors.Is(parent.Err(), context.Canceled):
		return delivery.FaultShutdown, "the sender stopped before the response arrived"
	case errors.As(err, &dial):
		return dialFault(dial), dial.Error()
	case ctx.Err() != nil && !f.connected:
		return delivery.FaultConnectTimeout, fmt.Sprintf("no connection within %s", timeout)
	case ctx.Err() != nil:
		return delivery.FaultTimeout, fmt.Sprintf("connected, but no response within %s", timeout)
	case !f.connected:
		return delivery.FaultRender, "the request can't be rendered: " + err.Error()
	case errors.As(err, &op) && op.Op == "remote error":
		return delivery.FaultTLS, "TLS: rejected by the receiver: " + op.Err.Error()
	case !f.answered.Load():
		return delivery.FaultCut, "the receiver closed the connection without a response"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return delivery.FaultCut, "the receiver closed the connection while sending the response header"
	default:
		return delivery.FaultProtocol, "the response is not HTTP/1.1, its header is incomplete, or its header exceeds 64 KiB"
	}
}

func dialFault(e *egress.DialError) delivery.Fault {
	switch {
	case e.Stage == egress.StageProxy:
		return delivery.FaultProxy
	case e.Stage == egress.StageForbidden:
		return delivery.FaultEgress
	case e.Stage == egress.StageLookup:
		return delivery.FaultDNS
	case e.Timeout():
		return delivery.FaultConnectTimeout
	case e.Stage == egress.StageTLS:
		return delivery.FaultTLS
	default:
		return delivery.FaultConnect
	}
}

// client is the recipient's client, made when a new revision is first seen. The one it replaces keeps its requests under way and
// loses its idle connections.
func (s *sender) client(r *recipient.Recipient) *client {
	s.mu.RLock()
	c := s.clients[r.ID]
	s.mu.RUnlock()
	if c != nil && !c.olderThan(r) {
		return c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c = s.clients[r.ID]
	if c != nil && !c.olderThan(r) {
		return c
	}
	if c != nil {
		defer c.closeIdle()
	}
	c = s.newClient(r)
	s.clients[r.ID] = c
	return c
}

// closeIdle closes the connections that are not in use.
func (c *client) closeIdle() {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
	if c.tokens != nil {
		c.tokens.CloseIdle()
	}
}

func (c *client) olderThan(r *recipient.Recipient) bool {
	return c.born < r.StartSequence || c.born == r.StartSequence && c.revision < r.Revision
}

func (s *sender) newClient(r *recipient.Recipient) *client {
	c := &client{born: r.StartSequence, revision: r.Revision, mask: newAnswerMask(r.HTTP)}
	// The URL was checked when it was saved, but maybe under another policy.
	if err := recipient.CheckURL(r.HTTP.URL, s.policy); err != nil {
		c.fault, c.detail = delivery.FaultEgress, "the URL "+err.Error()
		return c
	}
	anchors, err := trust.New(r.HTTP.CAPEM)
	if err != nil {
		c.fault, c.detail = delivery.FaultTLS, "caCertificatePem: "+err.Error()
		return c
	}
	c.target, err = newTarget(r.HTTP, s.userAgent)
	if err != nil {
		c.fault, c.detail = delivery.FaultProtocol, err.Error()
		if errors.Is(err, errAuth) {
			c.fault = delivery.FaultAuth
		}
		return c
	}
	if c.timeout <= 0 {
		c.timeout = recipient.DefaultTimeout
	}
	c.timeout = min(c.timeout, s.maxTimeout)
	width := r.MaxInFlight
	if width <= 0 {
		width = recipient.DefaultMaxInFlight
	}
	if err := c.open(r.HTTP, s.policy, egress.TransportOptions{
		Guard: s.guard, Anchors: anchors, Compat: trust.Compat{LegacyTLS: r.HTTP.LegacyTLS, SmallHello: r.HTTP.SmallClientHello},
		Timeout: c.timeout, MaxConns: width, Resolver: s.resolver, Proxy: s.proxy,
	}); err != nil {
		c.fault, c.detail = delivery.FaultAuth, err.Error()
		return c
	}
	c.request = http.Request{Method: http.MethodPost, URL: c.URL, Host: hostHeader(c.URL), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	return c
}

// keep forgets the clients of recipients that are gone.
func (s *sender) keep(known func(id string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range s.clients {
		if known(id) {
			continue
		}
		delete(s.clients, id)
		c.closeIdle()
	}
}

// close forgets all clients.
func (s *sender) close() { s.keep(func(string) bool { return false }) }
