package replays

import (
	"net/http"
	"net/url"
	"sync"
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// The kinds of replays, as addresses spell them.
const (
	kindBackfill   = "backfill"
	kindDeliveries = "deliveries"
)

// fields are those of a replay that its form has, in JSON's spelling.
func fields(kind string) []string {
	if kind == kindDeliveries {
		return []string{
			"toRecipientId", "rate", "deliveries.recipientId", "deliveries.state", "deliveries.eventType", "deliveries.applianceId", "deliveries.sessionId",
			"deliveries.externalKey", "deliveries.reason", "deliveries.reasonClass", "deliveries.channel", "deliveries.startTime", "deliveries.endTime",
		}
	}
	return []string{"toRecipientId", "rate", "backfill.startTime", "backfill.endTime", "backfill.includeDelivered"}
}

// newPage is a replay before it is started.
type newPage struct {
	Form *web.Form
	job
	Kind string
	// Preview is what it would do; nil before that is asked for.
	Preview *outboundv1.PreviewReplayResponse
	// Hidden are the fields that the form carries on as they are.
	Hidden  []fact
	choices []web.Option
}

// Backfill reports whether it is a recipient's events from a time on.
func (p newPage) Backfill() bool { return p.Kind == kindBackfill }

// Recipients are those that may get it.
func (p newPage) Recipients() []web.Option {
	label := "Choose a recipient"
	if !p.Backfill() {
		label = "Original recipients"
	}
	return web.OrAny(label, p.Form.Get("toRecipientId"), p.choices)
}

// New is how many would be sent.
func (p newPage) New() int64 { return p.Preview.GetCount() - p.Preview.GetUnavailable() }

// Takes is how long queuing them takes, to the second.
func (p newPage) Takes() time.Duration {
	return max(time.Second, p.Preview.GetEstimatedDuration().AsDuration().Round(time.Second))
}

// read reads a replay from a form.
func read(form *web.Form) (kind string, asked *outboundv1.Replay, err error) {
	asked = &outboundv1.Replay{}
	if kind = form.Get("kind"); kind == kindDeliveries {
		// A filter of nothing is a filter.
		asked.Source = &outboundv1.Replay_Deliveries_{Deliveries: &outboundv1.Replay_Deliveries{}}
	} else {
		kind, asked.Source = kindBackfill, &outboundv1.Replay_Backfill_{Backfill: &outboundv1.Replay_Backfill{}}
	}
	return kind, asked, form.Read(asked, fields(kind)...)
}

// newReplay shows the form, and what the replay would do once the form is filled in.
func newReplay(r *web.Request) error {
	form := &web.Form{Values: r.URL.Query()}
	kind, asked, err := read(form)
	if err != nil {
		return err
	}
	p := newPage{Form: form, Kind: kind}
	ready := kind == kindDeliveries || form.Get("toRecipientId") != "" && form.Get("backfill.startTime") != ""
	if kind == kindBackfill && form.Get("preview") != "" {
		require(form)
	}
	if ready && !form.Bad() {
		p.Preview, err = r.API.Deliveries.PreviewReplay(r.Context(), &outboundv1.PreviewReplayRequest{Replay: asked})
		if err != nil && !form.Refused(err) {
			return err
		}
	}
	return p.render(r, asked)
}

// require notes what a backfill lacks.
func require(form *web.Form) {
	if form.Get("toRecipientId") == "" {
		form.Add("toRecipientId", "choose a recipient")
	}
	if form.Get("backfill.startTime") == "" {
		form.Add("backfill.startTime", "enter a time, e.g. 2026-11-21 10:00")
	}
}

func (p newPage) render(r *web.Request, asked *outboundv1.Replay) error {
	var types []web.Option
	var asking sync.WaitGroup
	asking.Go(func() { types = web.TypeChoices(r.Context(), r.API) })
	p.choices = web.RecipientChoices(r.Context(), r.API)
	asking.Wait()
	p.job = job{asked, web.Labels(p.choices), web.Labels(types)}
	if !p.Backfill() {
		for _, name := range fields(p.Kind)[2:] {
			if v := p.Form.Get(name); v != "" {
				p.Hidden = append(p.Hidden, fact{name, v})
			}
		}
	}
	if p.Form.Bad() {
		r.Status(http.StatusUnprocessableEntity)
	}
	return r.Render("new", p)
}

func create(r *web.Request) error {
	form, err := r.Input()
	if err != nil {
		return err
	}
	kind, asked, err := read(form)
	if err != nil {
		return err
	}
	if kind == kindBackfill {
		require(form)
	}
	var made *outboundv1.Replay
	if !form.Bad() {
		made, err = r.API.Deliveries.CreateReplay(r.Context(), &outboundv1.CreateReplayRequest{Replay: asked})
		if err != nil && !form.Refused(err) {
			return err
		}
	}
	if form.Bad() {
		return newPage{Form: form, Kind: kind}.render(r, asked)
	}
	r.Flash(web.Good, "Replay started.")
	return r.Redirect("/replays/" + url.PathEscape(made.GetId()))
}

// Carried are all fields as they were previewed: what is started is what was shown.
func (p newPage) Carried() []fact {
	var out []fact
	for _, name := range fields(p.Kind) {
		if v := p.Form.Get(name); v != "" {
			out = append(out, fact{name, v})
		}
	}
	return out
}
