// Package detail describes one delivery or event in full: its records, what was sent, and why each recipient gets the event or does not.
package detail

import (
	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/filter"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
	"github.com/outbound-events/outbound/services/history/internal/search"
)

// Deps are what a reader needs, all required.
type Deps struct {
	Bus     *bus.Conn
	Log     *deliverylog.Log
	Config  *configclient.Client
	Events  *lookup.Finder
	Search  *search.Searcher
	Filters *filter.Cache
	// Lookups is how many deliveries are looked up at once.
	Lookups int
	// Version is the version of the process, as it is in the User-Agent header.
	Version string
}

// Reader describes one delivery or event.
type Reader struct{ Deps }

// New makes a reader.
func New(deps Deps) *Reader { return &Reader{deps} }
