package bustest

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// Cluster is a cluster of three nats-servers in this process. None runs at first.
type Cluster struct {
	t       testing.TB
	servers []*Server
}

// NewCluster chooses folders and ports. The servers end with the test.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	var routes []*url.URL
	var between, clients []int
	for range 3 {
		between, clients = append(between, porttest.Port(t)), append(clients, porttest.Port(t))
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", between[len(between)-1])})
	}
	for i := range 3 {
		c.servers = append(c.servers, &Server{t: t, opts: server.Options{
			ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: clients[i], JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: between[i]}, Routes: routes,
		}})
	}
	t.Cleanup(func() {
		for i := range c.servers {
			c.Stop(i)
		}
	})
	return c
}

// Run starts a server of the cluster.
func (c *Cluster) Run(i int) {
	c.t.Helper()
	c.servers[i].start()
}

// Stop stops a server. Stopping one that does not run is no error.
func (c *Cluster) Stop(i int) {
	if c.servers[i].s != nil {
		c.servers[i].Stop()
	}
}

// URL names all servers.
func (c *Cluster) URL() string {
	var all []string
	for _, s := range c.servers {
		all = append(all, fmt.Sprint("nats://127.0.0.1:", s.opts.Port))
	}
	return strings.Join(all, ",")
}

// Leader is the server that leads a stream.
func (c *Cluster) Leader(stream string) int {
	c.t.Helper()
	leader := -1
	waittest.Until(c.t, "a leader of "+stream, func() bool {
		for i, s := range c.servers {
			if s.s != nil && s.s.Running() && s.s.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
				leader = i
			}
		}
		return leader >= 0
	})
	return leader
}

// Conn connects to the cluster and makes the streams, three of each; the connection ends with the test.
func (c *Cluster) Conn() *bus.Conn {
	c.t.Helper()
	ctx, cancel := waittest.Context(context.Background())
	defer cancel()
	conn, err := bus.Connect(ctx, bus.Options{URL: c.URL(), Name: c.t.Name()})
	if err != nil {
		c.t.Fatalf("connect to the cluster: %v", err)
	}
	c.t.Cleanup(conn.Close)
	o := StreamOptions()
	o.Replicas = 3
	if err := conn.EnsureStreams(ctx, o); err != nil {
		c.t.Fatalf("make the streams: %v", err)
	}
	return conn
}
