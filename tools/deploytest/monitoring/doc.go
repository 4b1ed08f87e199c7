// Package monitoring evaluates every alert in deploy/prometheus and every panel in deploy/grafana with Prometheus's own engine, on metrics
// scraped from a running system.
package monitoring
