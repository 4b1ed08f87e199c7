// Package monitoring evaluates every alert in deploy/prometheus and every panel in deploy/grafana/dashboards with Prometheus's own engine, on metrics
// scraped from a running system.
package monitoring
