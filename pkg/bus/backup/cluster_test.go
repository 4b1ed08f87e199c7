package backup_test

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/backup"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// cluster starts three servers that keep three copies, and returns a connection to them.
func cluster(t *testing.T) *bus.Conn {
	t.Helper()
	ports := []int{porttest.Port(t), porttest.Port(t), porttest.Port(t)}
	routes := make([]*url.URL, 0, len(ports))
	for _, port := range ports {
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", port)})
	}
	servers := make([]*server.Server, 0, len(ports))
	for i, port := range ports {
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
			Cluster: server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: port}, Routes: routes, JetStreamMaxStore: 1 << 40,
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		servers = append(servers, s)
	}
	waittest.Until(t, "a leader of three servers", func() bool {
		return slices.ContainsFunc(servers, func(s *server.Server) bool { return s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == 3 })
	})
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	c, err := bus.Connect(ctx, bus.Options{URL: servers[0].ClientURL(), Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestABackupOfOneServerIsRestoredIntoThree goes the way there and back: from one copy to three, and from three to one.
func TestABackupOfOneServerIsRestoredIntoThree(t *testing.T) {
	from, to, back := bustest.Start(t).Conn(), cluster(t), bustest.Start(t).Conn()
	fill(t, from)
	path, _ := take(t, from, true)
	o := bustest.StreamOptions()
	o.Replicas = 3
	waittest.NoError(t, "the cluster to take the backup", func() error {
		_, err := backup.Restore(t.Context(), to, open(t, path), backup.RestoreOptions{Streams: o})
		return err
	})
	if i := info(t, to, bus.StreamEvents); i.Config.Replicas != 3 || i.State.Msgs != 300 || i.State.LastSeq != 300 {
		t.Errorf("EVENTS is %+v with %d copies", i.State, i.Config.Replicas)
	}
	if p, err := backup.Look(t.Context(), to); err != nil || p.Replicas != 3 || p.Empty() {
		t.Errorf("there is %+v, %v", p, err)
	}
	path, _ = take(t, to, true)
	if _, err := restore(t, back, path); err != nil {
		t.Fatal(err)
	}
	c, err := back.JS.Consumer(t.Context(), bus.StreamEvents, "http-crm")
	if err != nil {
		t.Fatal(err)
	}
	// A cluster does not say which messages are out: they are handed out again.
	if i := c.CachedInfo(); i.AckFloor.Stream != 100 || i.NumPending+uint64(i.NumAckPending) != 200 {
		t.Errorf("the consumer is at %+v", i)
	}
	theRestOfTheQueue(t, back)
}
