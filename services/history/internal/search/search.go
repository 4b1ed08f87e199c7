// Package search lists deliveries and events by filter, page by page, and follows the deliveries that are recorded.
package search

import (
	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/services/history/internal/index"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
	"github.com/outbound-events/outbound/services/history/internal/queues"
	"log/slog"
)

// Deps are what a searcher needs, all required.
type Deps struct {
	Bus    *bus.Conn
	Log    *deliverylog.Log
	Config *configclient.Client
	Events *lookup.Finder
	Index  *index.Index
	Queues *queues.Reader
	// MaxScan is how many records one call reads, at most.
	MaxScan int
	Logger  *slog.Logger
}

// Searcher searches the log of deliveries, through the index where that is possible, and the queues.
type Searcher struct{ Deps }

// New makes a searcher.
func New(deps Deps) *Searcher { return &Searcher{deps} }
