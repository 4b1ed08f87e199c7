package telemetry

import "github.com/prometheus/client_golang/prometheus"

// StoreWritable is outbound_store_writable: 1 while the broker stores what it is given, as far as this process sees, else 0.
func (t *Telemetry) StoreWritable() Level {
	l := t.Gauge("store_writable", "1 while the broker stores what it is given, as far as this process sees; else 0.").With()
	l.Set(1)
	return l
}

// DiskFree is outbound_disk_free_bytes: what is free on the disk of the embedded broker.
func (t *Telemetry) DiskFree() Level {
	return t.Gauge("disk_free_bytes", "Free bytes on the disk of the embedded broker.").With()
}

// Syncs is outbound_store_syncs_total: how often this process has had a file of the embedded broker reach the disk.
func (t *Telemetry) Syncs(count func() uint64) {
	register(t, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: MetricPrefix + "store_syncs_total",
		Help: "How often a file of the embedded broker was synced to disk."}, func() float64 { return float64(count()) }))
}

// Truth is a truth as a metric: 1 or 0.
func Truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
