package main

import (
	"fmt"

	"github.com/outbound-events/outbound/e2e/harness"
)

// carried is what services with one nats-server or three use with a number of recipients.
type carried struct {
	idle, steady, full usage
	rate               float64
}

// clusters measures separate services with each of -sizes recipients, on one nats-server and on a cluster of three that keeps each
// stream three times. All processes share the processors of this machine, so a cluster shows what its copies cost, and not what three
// machines carry.
func (b *bench) clusters() []row {
	var rows []row
	for _, n := range b.sizes {
		var one, three carried
		b.scope(func() { one = b.carries(harness.Services, n) })
		b.scope(func() { three = b.carries(harness.Cluster, n) })
		tell := func(c carried) string {
			return fmt.Sprintf("idle %.3f cores, %s; at %d/s %.3f cores; at most %.0f/s, %.0f µs a delivery", c.idle.cores, mib(c.idle.memory),
				scaleRate, c.steady.cores, c.rate, c.full.perDelivery)
		}
		rows = append(rows, row{
			fmt.Sprintf("cluster of three, %d recipient(s)", n), tell(three), "one server: " + tell(one),
			fmt.Sprintf("%.2f × the rate, %s of the CPU", three.rate/one.rate, times(three.full.perDelivery, one.full.perDelivery)),
			"growth shown",
		})
	}
	return rows
}

// carries measures one number of recipients.
func (b *bench) carries(shape harness.Shape, recipients int) (x carried) {
	c := newCrowd(b, shape, recipients)
	c.serve(1, c.fast) // opens the connections
	x.idle = c.idle()
	x.steady, _ = c.serve(max(1, int(b.window.Seconds()*scaleRate)/recipients), c.steadily)
	x.full, x.rate = c.serve(max(1, b.events/recipients), c.fast)
	b.Logf("%s, %d recipient(s): idle %.3f cores, %s; %d events/s %.3f cores, %.0f µs a delivery; full speed %.0f/s, %.0f µs a delivery",
		shape, recipients, x.idle.cores, mib(x.idle.memory), scaleRate, x.steady.cores, x.steady.perDelivery, x.rate, x.full.perDelivery)
	return x
}
