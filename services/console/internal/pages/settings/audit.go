package settings

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// auditPage is the data of the page of the audit log.
type auditPage struct {
	Entries []*outboundv1.AuditEntry
	// Filter are the filters as they were given, Fault is what is wrong with them.
	Filter url.Values
	Fault  string
	// Next is the address of the next page, First that of the first page on later pages.
	Next, First string
}

// auditFilters are the names of the filters.
func auditFilters() []string {
	return []string{"since", "until", "actor", "action", "object", "outcome", "address"}
}

func showAudit(r *web.Request) error {
	p := auditPage{Filter: url.Values{}}
	var pairs []string
	for _, name := range auditFilters() {
		if value := strings.TrimSpace(r.URL.Query().Get(name)); value != "" {
			p.Filter.Set(name, value)
			pairs = append(pairs, name, value)
		}
	}
	since, fault := dayOf(p.Filter.Get("since"), 0)
	until, other := dayOf(p.Filter.Get("until"), 1)
	if p.Fault = fault + other; p.Fault != "" {
		r.Status(http.StatusUnprocessableEntity)
		return r.Render("audit", p)
	}
	token := r.URL.Query().Get("page")
	answer, err := r.API.Audit.ListAuditEntries(r.Context(), &outboundv1.ListAuditEntriesRequest{
		Since: since, Until: until, Actor: p.Filter.Get("actor"), Action: p.Filter.Get("action"), Object: p.Filter.Get("object"),
		Outcome: strings.ToUpper(p.Filter.Get("outcome")), Address: p.Filter.Get("address"), PageToken: token, PageSize: changesShown,
	})
	if err != nil {
		return err
	}
	p.Entries = answer.GetEntries()
	if t := answer.GetNextPageToken(); t != "" {
		p.Next = web.Address("/settings/audit", append(pairs, "page", t)...)
	}
	if token != "" {
		p.First = web.Address("/settings/audit", pairs...)
	}
	return r.Render("audit", p)
}

// dayOf reads a day (UTC) and returns its beginning, days later, or what is wrong with it.
func dayOf(text string, days int) (t *timestamppb.Timestamp, fault string) {
	if text == "" {
		return nil, ""
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return nil, "Enter days as YYYY-MM-DD. "
	}
	return timestamppb.New(day.AddDate(0, 0, days)), ""
}
