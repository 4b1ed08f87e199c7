package eventhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/rpc"
)

// The bounds of a batch.
const (
	maxBatchEvents = 1000
	maxBatchSize   = 8 << 20
)

// result is the answer for one event of a batch: what POST of that event alone is answered, and with which status.
type result struct {
	Index  int             `json:"index"`
	Status int             `json:"status"`
	Event  json.RawMessage `json:"event,omitempty"`
	Error  json.RawMessage `json:"error,omitempty"`
}

// batch publishes the events of a JSON array (HTTP protocol binding 1.0.2, 3.3), one after the other so that they keep their order, and
// answers for each. 200: all are accepted; 207: some are, and no other can be; else the batch may be sent again as it is, for what is
// accepted is then a duplicate, or, with a status below 500 but 429, none of it can be accepted.
func (h *handler) batch(ctx context.Context, w http.ResponseWriter, r *http.Request, body []byte) {
	events, err := split(body)
	if err != nil {
		fail(w, err)
		return
	}
	results := make([]result, len(events))
	worst, accepted, wait := 0, 0, time.Duration(0)
	for i, raw := range events {
		answer, err := h.publish(ctx, r, raw)
		results[i] = resultOf(i, answer, err)
		if err == nil {
			accepted++
		}
		worst, wait = worse(worst, results[i].Status), max(wait, rpc.RetryAfter(status.Convert(err)))
	}
	code := max(worst, http.StatusOK)
	if accepted > 0 && code != http.StatusOK && !again(code) {
		code = http.StatusMultiStatus
	}
	if again(code) {
		w.Header().Set("Retry-After", seconds(wait))
	}
	out, err := json.Marshal(struct {
		Accepted int      `json:"accepted"`
		Refused  int      `json:"refused"`
		Results  []result `json:"results"`
	}{accepted, len(events) - accepted, results})
	if err != nil {
		fail(w, status.Error(codes.Internal, "the response can't be written"))
		return
	}
	send(w, code, out)
}

// again reports whether an event that was answered with a status can be accepted later.
func again(code int) bool {
	return code == http.StatusTooManyRequests || code >= http.StatusInternalServerError
}

// worse is the status that decides what becomes of the whole: first those after which to send again.
func worse(a, b int) int {
	switch {
	case b == http.StatusOK || again(a) && !again(b):
		return a
	case again(b) && !again(a):
		return b
	default:
		return max(a, b)
	}
}

func resultOf(i int, answer proto.Message, err error) result {
	if err == nil {
		return result{Index: i, Status: http.StatusOK, Event: encode(answer)}
	}
	s := status.Convert(rpc.Plain(err))
	return result{Index: i, Status: Status(s.Code()), Error: encode(s.Proto())}
}

func encode(m proto.Message) []byte {
	b, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return []byte(`{"code":13,"message":"the response can't be written","details":[]}`)
	}
	return b
}

// split gives the events of a batch, each as it was sent.
func split(body []byte) ([]json.RawMessage, error) {
	if len(body) > maxBatchSize {
		return nil, rpc.TooLarge("", fmt.Sprintf("the batch is larger than %d bytes: send fewer events at once", maxBatchSize))
	}
	wrong := func(reason, text string) error {
		return rpc.InvalidArgument(rpc.Violation{Reason: reason, Description: text})
	}
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '[' {
		return nil, wrong("WRONG_JSON_TYPE", "is not a JSON array: a batch is an array of events; send one event as "+mediaStructured)
	}
	var events []json.RawMessage
	if err := json.Unmarshal(body, &events); err != nil {
		return nil, wrong("MALFORMED_JSON", "is not valid JSON: "+err.Error())
	}
	if len(events) > maxBatchEvents {
		return nil, wrong("TOO_MANY", fmt.Sprintf("has %d events: the limit is %d, send fewer at once", len(events), maxBatchEvents))
	}
	return events, nil
}
