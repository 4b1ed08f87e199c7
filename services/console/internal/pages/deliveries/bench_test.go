package deliveries_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// BenchmarkPage measures a page over HTTP, with the session and the calls to the services: a list of 100 rows, and a delivery with ten
// attempts with different responses of 200 lines.
func BenchmarkPage(b *testing.B) {
	h := &history{list: &outboundv1.ListDeliveriesResponse{},
		detail: &outboundv1.DeliveryDetail{Delivery: delivery("a1~e1", outboundv1.DeliveryState_RETRYING)}}
	for i := range 100 {
		h.list.Deliveries = append(h.list.Deliveries, delivery(fmt.Sprintf("a1~e%d", i), outboundv1.DeliveryState_RETRYING))
	}
	for i := range 10 {
		h.detail.Attempts = append(h.detail.Attempts, &outboundv1.Attempt{
			Number: int32(i + 1), State: outboundv1.DeliveryState_RETRYING, Reason: "http_status", StatusCode: 503, BeginTime: timestamppb.Now(),
			ResponseExcerpt: strings.Repeat(fmt.Sprintf("<p>request %d</p>\n<p>try later</p>\n", i), 100),
		})
	}
	h.detail.Request = &outboundv1.DeliveryDetail_Http{Http: &outboundv1.HttpPreview{Method: "POST", Url: "https://x.example/",
		Body: strings.Repeat("a=b&", 2000)}}
	reader := start(b, h).As("operator")
	for name, path := range map[string]string{"rows=100": "/deliveries?pageSize=100", "delivery": "/deliveries/crm/a1~e1"} {
		b.Run(name, func(b *testing.B) {
			size := 0
			for b.Loop() {
				page := reader.Get(path)
				if page.Status != http.StatusOK {
					b.Fatal(page.Status)
				}
				size = len(page.Body)
			}
			b.ReportMetric(float64(size)/1024, "KiB/page")
		})
	}
}
