package pull

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

const (
	// pageMost is how many deliveries are asked for at once: the bodies of more may be too large for an answer. Those that are posted are
	// asked for in smaller pages, so that a slow receiver gets the last of a page while its signature is still valid: for five minutes.
	pageMost, postedMost = 100, 20
	// acknowledgeTimeout bounds an acknowledgement, which an interrupt does not end.
	acknowledgeTimeout = 30 * time.Second
)

// run is one run of the command.
type run struct {
	*options
	api *client.Client
	// to posts deliveries; nil: nobody gets them.
	to *poster

	// after is behind what the next page begins; nil: at the first delivery that is not final.
	after *uint64
	// joined are the pages as one; without their deliveries if a table is shown, which is rows.
	joined outboundv1.PullDeliveriesResponse
	rows   [][]string
	gaps   []string

	pulled, posted, acknowledged int
	// before is the last number that was pulled, done the last one that was dealt with, through the last one that was acknowledged.
	before, done, through uint64
	// stopped is why a delivery could not be dealt with.
	stopped error
}

// do pulls, deals with what was pulled, shows it and says what was done.
func (r *run) do(ctx context.Context) error {
	failed := r.pages(ctx)
	if failed != nil && r.pulled == 0 {
		return failed
	}
	err := r.show()
	// What is shown counts if the whole output is there: who reads it may discard the output of a command that fails.
	if err == nil && failed == nil && r.to == nil {
		err = r.confirm(ctx)
	}
	r.summary()
	return errors.Join(r.stopped, failed, err)
}

// pages pulls page after page, and posts each before the next one is pulled, while its signatures are new.
func (r *run) pages(ctx context.Context) error {
	for more := true; more; more = r.joined.GetMore() && (r.limit == 0 || r.pulled < r.limit) {
		page, err := r.ask(ctx)
		if err != nil {
			return err
		}
		deliveries := r.take(page)
		r.stopped = r.deal(ctx, deliveries)
		if r.to != nil {
			err = r.confirm(ctx)
		}
		if err != nil || r.stopped != nil {
			r.joined.NextAfter, r.joined.More = max(r.done, r.begin()), true
			return err
		}
		if next := page.GetNextAfter(); page.GetMore() && r.after != nil && next <= *r.after {
			return fmt.Errorf("the server says that others follow behind number %d, but not where: try again", next)
		}
		r.after = &page.NextAfter
	}
	return nil
}

// begin is the number behind which the current page begins.
func (r *run) begin() uint64 {
	if r.after == nil {
		return r.joined.GetCursor()
	}
	return *r.after
}

// ask asks for the next page.
func (r *run) ask(ctx context.Context) (*outboundv1.PullDeliveriesResponse, error) {
	size := pageMost
	if r.to != nil {
		size = postedMost
	}
	if r.limit > 0 {
		size = min(size, r.limit-r.pulled)
	}
	q := url.Values{"limit": {strconv.Itoa(size)}}
	if r.after != nil {
		q.Set("after", strconv.FormatUint(*r.after, 10))
	}
	page := &outboundv1.PullDeliveriesResponse{}
	err := r.api.Call(ctx, http.MethodGet, client.RecipientPath(r.recipient)+"/deliveries:pull?"+q.Encode(), nil, page)
	return page, err
}

// take joins a page to those before it, and returns its deliveries. A request with a number returns final deliveries too: they are left out
// if only those were asked for that are not.
func (r *run) take(page *outboundv1.PullDeliveriesResponse) []*outboundv1.PulledDelivery {
	deliveries := page.GetDeliveries()
	if r.pending && r.after != nil {
		deliveries = slices.DeleteFunc(deliveries, func(d *outboundv1.PulledDelivery) bool { return final(d.GetState()) })
	}
	for _, d := range deliveries {
		// Where final deliveries are left out, a number that is missing says nothing.
		if !r.pending && d.GetPrevious() > r.before {
			r.gaps = append(r.gaps, gap(r.before+1, d.GetPrevious()))
		}
		r.before = d.GetSequence()
		if r.Structured() {
			r.joined.Deliveries = append(r.joined.Deliveries, d)
			continue
		}
		r.rows = append(r.rows, []string{strconv.FormatUint(d.GetSequence(), 10), d.GetEventId(), d.GetEventType(), d.GetState().String(),
			output.Clock(d.GetAcceptTime()), body(d)})
	}
	r.pulled += len(deliveries)
	r.joined.NextAfter, r.joined.More = page.GetNextAfter(), page.GetMore()
	r.joined.Cursor, r.joined.Last = page.GetCursor(), page.GetLast()
	return deliveries
}

// deal posts deliveries in their order, if they are posted, up to the first one that can't be dealt with.
func (r *run) deal(ctx context.Context, deliveries []*outboundv1.PulledDelivery) error {
	for _, d := range deliveries {
		switch {
		case r.acknowledge && d.GetNote() != "" && !final(d.GetState()):
			// Acknowledged, it ends as DELIVERED although nobody has it.
			return fmt.Errorf("delivery %d (event %s) has no body and is not acknowledged: %s: correct the recipient, or cancel it with "+
				"\"outbound deliveries cancel\"", d.GetSequence(), d.GetEventId(), d.GetNote())
		case r.to != nil && d.GetNote() == "":
			if err := r.to.post(ctx, d); err != nil {
				return fmt.Errorf("post delivery %d (event %s): %w", d.GetSequence(), d.GetEventId(), err)
			}
			r.posted++
		}
		r.done = d.GetSequence()
	}
	return nil
}

// confirm acknowledges what was dealt with, also after an interrupt.
func (r *run) confirm(ctx context.Context) error {
	if !r.acknowledge || r.done == r.through {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), acknowledgeTimeout)
	defer cancel()
	answer := &outboundv1.AcknowledgeDeliveriesResponse{}
	err := r.api.Call(ctx, http.MethodPost, client.RecipientPath(r.recipient)+"/deliveries:acknowledge",
		&outboundv1.AcknowledgeDeliveriesRequest{Through: r.done}, answer)
	if err != nil {
		return fmt.Errorf("acknowledge up to number %d: %w", r.done, err)
	}
	r.through = r.done
	r.acknowledged += int(answer.GetAcknowledged())
	return nil
}

// show prints what was pulled. There is no table of nothing.
func (r *run) show() error {
	if r.pulled == 0 && !r.Structured() {
		return nil
	}
	return r.Show(&r.joined, func() *output.Table {
		return &output.Table{Head: []string{"SEQUENCE", "EVENT", "TYPE", "STATE", "ACCEPTED", "BODY"}, Rows: r.rows}
	})
}

// summary says on standard error what was done, and what is missing.
func (r *run) summary() {
	for _, g := range r.gaps {
		r.Note("%s", g)
	}
	if r.pulled == 0 {
		r.Note("nothing to pull")
		if last := r.joined.GetLast(); !r.pending && r.options.after > last {
			r.Note("number %d was not given yet, the last one is %d: a recipient that was created again begins at 1, so pull with --after 0",
				r.options.after, last)
		}
		return
	}
	line := fmt.Sprintf("pulled %d", r.pulled)
	if r.to != nil {
		line += fmt.Sprintf(", posted %d", r.posted)
	}
	switch {
	case r.through > 0:
		line += fmt.Sprintf(", acknowledged %d that were not final, up to number %d", r.acknowledged, r.through)
	case r.acknowledge:
		line += ", acknowledged none"
	}
	r.Note("%s", line)
	if r.joined.GetMore() && r.stopped == nil {
		r.Note("others follow: set --limit higher, or to 0 for all")
	}
}

// final reports whether a delivery has ended.
func final(s outboundv1.DeliveryState_State) bool {
	return s != outboundv1.DeliveryState_WAITING && s != outboundv1.DeliveryState_RETRYING
}

// body is the size of a body, or why there is none.
func body(d *outboundv1.PulledDelivery) string {
	skipped := d.GetState() == outboundv1.DeliveryState_SKIPPED || d.GetState() == outboundv1.DeliveryState_CANCELLED
	switch {
	case d.GetNote() == "":
		return output.Size(uint64(len(d.GetBody())))
	case skipped && d.GetReason() != "":
		return "none: " + d.GetReason()
	default:
		return "none: " + output.Short(d.GetNote())
	}
}

// gap says that the numbers from first to last are missing.
func gap(first, last uint64) string {
	if first == last {
		return fmt.Sprintf("number %d is missing: its event is no longer stored", first)
	}
	return fmt.Sprintf("numbers %d to %d are missing: their events are no longer stored", first, last)
}
