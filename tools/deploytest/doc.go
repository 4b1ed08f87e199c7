// Package deploytest holds what is checked of the files in deploy with the libraries of those who read them: Prometheus in monitoring, Helm
// and Kubernetes in chart. Pictures draws the dashboards. It is a module of its own, outside the workspace, so that these libraries decide nothing about the versions that
// Outbound is built with.
package deploytest
