package cli_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli"
)

func (fixedServer) GetTimeSeries(_ context.Context, r *outboundv1.GetTimeSeriesRequest) (*outboundv1.TimeSeries, error) {
	return &outboundv1.TimeSeries{
		RecipientId: r.GetRecipientId(), Range: r.GetRange(), Interval: durationpb.New(time.Minute), ReadTime: at(59), KnownSinceTime: at(0),
		Points: []*outboundv1.TimeSeriesPoint{
			{StartTime: at(0)},
			{StartTime: at(10), Delivered: 12, FailedAttempts: 3, FailedDeliveries: 1, LatencyP50: durationpb.New(8240 * time.Microsecond),
				LatencyP95: durationpb.New(1430 * time.Millisecond), Waiting: proto.Int64(7)},
			{StartTime: at(20), Waiting: proto.Int64(2)},
		},
		Total: &outboundv1.TimeSeriesPoint{StartTime: at(0), Delivered: 12, FailedAttempts: 3, FailedDeliveries: 1,
			LatencyP50: durationpb.New(8240 * time.Microsecond), LatencyP95: durationpb.New(1430 * time.Millisecond), Waiting: proto.Int64(7)},
	}, nil
}

func TestARangeThatDoesNotExistIsRefused(t *testing.T) {
	data := serve(t)
	for _, text := range []string{"2h", "1", "week", ""} {
		var out, errors bytes.Buffer
		root := cli.New(cli.Options{Out: &out, Err: &errors, Getenv: func(string) string { return "" }, Version: "test"})
		if code := cli.Execute(t.Context(), root, []string{"stats", "--range", text, "--data", data}); code != 2 ||
			!strings.Contains(errors.String(), "use 1h, 24h or 7d") {
			t.Errorf("--range %q: exit %d, %s", text, code, errors.String())
		}
	}
}
