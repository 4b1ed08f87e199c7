package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/rpc/eventhttp"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// queueGroup is shared by all ingest processes, so that each request is answered once.
const queueGroup = "ingest"

// listen answers requests on the appliances' subjects.
func (k *intake) listen() (micro.Service, error) {
	version := k.deps.Version
	if version == "" || strings.Count(version, ".") != 2 {
		version = "0.0.0"
	}
	nc := k.deps.Bus.IntakeConn()
	svc, err := micro.AddService(nc, micro.Config{
		Name: "outbound-ingest", Version: version, Description: "Accepts events as CloudEvents 1.0 in JSON.", QueueGroup: queueGroup,
	})
	if err != nil {
		return nil, fmt.Errorf("register the ingest service with the broker: %w", err)
	}
	// The second subject answers what no type of the catalogue is called, so that nobody publishes into the void. It is one of its own
	// and the first stays as it is, so that processes of two versions share their requests.
	for name, subject := range map[string]string{"publish": bus.IngestSubject, "publish-dotted": bus.IngestDottedSubject} {
		if err := k.endpoint(svc, name, subject); err != nil {
			_ = svc.Stop()
			return nil, err
		}
	}
	return svc, nil
}

func (k *intake) endpoint(svc micro.Service, name, subject string) error {
	// Nothing waits here: a request is handed on or refused at once. The limit of bytes alone would drop requests silently.
	err := svc.AddEndpoint(name, micro.HandlerFunc(k.request), micro.WithEndpointSubject(subject),
		micro.WithEndpointPendingLimits(nats.DefaultSubPendingMsgsLimit, -1))
	if err != nil {
		return fmt.Errorf("listen on %s: %w", subject, err)
	}
	return nil
}

// request answers one request in its own time: the store is awaited by a goroutine each, so that many events share a commit.
func (k *intake) request(r micro.Request) {
	s := submission{raw: eventhttp.Structured(r.Headers(), r.Data()), via: viaNATS, subject: r.Subject()}
	s.appliance, s.typeID = bus.FromIngestSubject(r.Subject())
	place, err := k.enter(s)
	if err != nil {
		k.respond(r.Reply(), bus.Receipt{}, nil, err)
		return
	}
	headers := traceCarrier(r.Headers())
	k.replies.Go(func() {
		defer place.Leave()
		ctx := context.Background()
		if len(headers) > 0 {
			ctx = propagation.TraceContext{}.Extract(ctx, headers)
		}
		receipt, e, err := k.traced(ctx, s, place)
		k.respond(r.Reply(), receipt, e, err)
	})
}

// traceCarrier reads a trace context from a message's headers. NATS tells upper from lower case; W3C Trace Context, 3.2.1, has the names in
// lower case and wants any case understood.
type traceCarrier micro.Headers

// Get implements propagation.TextMapCarrier.
func (c traceCarrier) Get(key string) string {
	for name, values := range c {
		if len(values) == 1 && strings.EqualFold(name, key) {
			return values[0]
		}
	}
	return ""
}

// Set implements propagation.TextMapCarrier; nothing is written.
func (c traceCarrier) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (c traceCarrier) Keys() []string { return []string{"traceparent", "tracestate"} }

// respond sends the answer, if one is asked for. The micro service's own Respond may be used only before its handler returns.
func (k *intake) respond(reply string, receipt bus.Receipt, e *event.Event, err error) {
	if reply == "" {
		return
	}
	m := nats.NewMsg(reply)
	if err == nil {
		m.Data = encodeAnswer(receipt, e)
	} else {
		st := status.Convert(err)
		var limited *answered
		if errors.As(err, &limited) {
			m.Data = limited.json
		} else {
			m.Data = encode(st.Proto())
		}
		if wait := rpc.RetryAfter(st); wait > 0 {
			m.Header.Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
		}
		m.Header.Set(micro.ErrorHeader, headerText(st.Message()))
		m.Header.Set(micro.ErrorCodeHeader, strconv.Itoa(eventhttp.Status(st.Code())))
	}
	if err := k.deps.Bus.IntakeConn().PublishMsg(m); err != nil {
		k.deps.Logger.Warn("response not sent: the appliance will retry", telemetry.KeyError, err.Error())
	}
}

func answer(receipt bus.Receipt, e *event.Event) *outboundv1.PublishEventResponse {
	return &outboundv1.PublishEventResponse{EventId: e.Key(), Sequence: receipt.Sequence, Duplicate: receipt.Duplicate}
}

// encodeAnswer writes an answer as REST would, without reflection: there is one for each event.
func encodeAnswer(receipt bus.Receipt, e *event.Event) []byte {
	l := event.NewLine(128)
	l.Text("eventId", e.Key())
	l.Text("sequence", strconv.FormatUint(receipt.Sequence, 10))
	l.Flag("duplicate", receipt.Duplicate)
	b, _ := l.End() // texts and truths can always be written
	return b
}

// encode writes a message as REST would. Our messages can always be written.
func encode(m proto.Message) []byte {
	b, _ := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	return b
}

// headerText makes one line of a text, short enough for a header.
func headerText(s string) string {
	const most = 500
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
