package replays

import (
	"net/http"
	"net/url"
	"sync"
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// The types of replays in query parameters.
const (
	kindBackfill   = "backfill"
	kindDeliveries = "deliveries"
)

// fields returns the JSON names of the fields in the form.
func fields(kind string) []string {
	if kind == kindDeliveries {
		return []string{
			"toRecipientId", "rate", "deliveries.recipientId", "deliveries.state", "deliveries.eventType", "deliveries.applianceId",
			"deliveries.sessionId",
			"deliveries.externalKey", "deliveries.reason", "deliveries.reasonClass", "deliveries.channel", "deliveries.startTime",
			"deliveries.endTime",
		}
	}
	return []string{"toRecipientId", "rate", "backfill.startTime", "backfill.endTime", "backfill.includeDelivered"}
}

// newPage is the data of a replay before it is started.
type newPage struct {
	Form *web.Form
	job
	Kind string
	// Preview is the preview; nil before it is requested.
	Preview *outboundv1.PreviewReplayResponse
	// Hidden are the fields that the form passes on unchanged.
	Hidden  []fact
	choices []web.Option
}

// Backfill reports whether the replay is a backfill.
func (p newPage) Backfill() bool { return p.Kind == kindBackfill }

// Recipients returns the options of the recipient field.
func (p newPage) Recipients() []web.Option {
	label := "Choose a recipient"
	if !p.Backfill() {
		label = "Original recipients"
	}
	return web.OrAny(label, p.Form.Get("toRecipientId"), p.choices)
}

// New is the number of deliveries that the replay sends.
func (p newPage) New() int64 { return p.Preview.GetCount() - p.Preview.GetUnavailable() }

// Takes is the estimated duration in whole seconds.
func (p newPage) Takes() time.Duration {
	return max(time.Second, p.Preview.GetEstimatedDuration().AsDuration().Round(time.Second))
}

// read reads a replay from a form.
func read(form *web.Form) (kind string, asked *outboundv1.Replay, err error) {
	asked = &outboundv1.Replay{}
	if kind = form.Get("kind"); kind == kindDeliveries {
		// An empty filter is valid.
		asked.Source = &outboundv1.Replay_Deliveries_{Deliveries: &outboundv1.Replay_Deliveries{}}
	} else {
		kind, asked.Source = kindBackfill, &outboundv1.Replay_Backfill_{Backfill: &outboundv1.Replay_Backfill{}}
	}
	return kind, asked, form.Read(asked, fields(kind)...)
}

// newReplay shows the form, and the preview once the form is complete.
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

// require adds faults for the missing fields of a backfill.
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

// Carried returns all previewed fields, so that the started replay is the previewed one.
func (p newPage) Carried() []fact {
	var out []fact
	for _, name := range fields(p.Kind) {
		if v := p.Form.Get(name); v != "" {
			out = append(out, fact{name, v})
		}
	}
	return out
}
