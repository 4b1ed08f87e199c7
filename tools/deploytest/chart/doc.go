// Package chart lints and renders deploy/helm/outbound with Helm's library over several value sets, decodes each manifest strictly with the
// Go types of its API, and has each service check the options that its Deployment gives it.
package chart
