package replays

import (
	"net/url"
	"strings"
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// job is a replay with the display names of its recipients and types.
type job struct {
	*outboundv1.Replay
	names, types map[string]string
}

// Address is the address of the replay.
func (j job) Address() string { return "/replays/" + url.PathEscape(j.GetId()) }

// DeliveriesAddress lists the deliveries of the replay.
func (j job) DeliveriesAddress() string { return web.Address("/deliveries", "replayId", j.GetId()) }

// Running reports whether the replay is running.
func (j job) Running() bool { return j.GetState() == outboundv1.Replay_RUNNING }

// Done is the number of processed deliveries.
func (j job) Done() int64 { return j.GetQueued() + j.GetUnavailable() }

// Known reports whether the total is known.
func (j job) Known() bool { return j.GetTotal() > 0 && j.Done() <= j.GetTotal() }

// Percent is the progress.
func (j job) Percent() int64 {
	if !j.Known() {
		return 0
	}
	return 100 * j.Done() / j.GetTotal()
}

// Left is the estimated remaining time.
func (j job) Left() time.Duration {
	if !j.Running() || !j.Known() || j.GetRate() <= 0 {
		return 0
	}
	return (time.Duration(j.GetTotal()-j.Done()) * time.Second / time.Duration(j.GetRate())).Round(time.Second)
}

// Tone is the colour of the state.
func (j job) Tone() string {
	switch j.GetState() {
	case outboundv1.Replay_RUNNING:
		return "note"
	case outboundv1.Replay_DONE:
		return "good"
	case outboundv1.Replay_FAILED:
		return "bad"
	default:
		return "quiet"
	}
}

// Word is the state in words.
func (j job) Word() string {
	switch j.GetState() {
	case outboundv1.Replay_STOPPED:
		return "cancelled"
	case outboundv1.Replay_REPLAY_STATE_UNSPECIFIED:
		return "unknown"
	default:
		return strings.ToLower(j.GetState().String())
	}
}

// Kind is the type of the replay.
func (j job) Kind() string {
	if j.GetBackfill() != nil {
		return "Backfill"
	}
	return "Replay of deliveries"
}

// To is the recipient.
func (j job) To() string {
	if id := j.GetToRecipientId(); id != "" {
		return named(j.names, id)
	}
	return "original recipients"
}

// fact is a filter of the replay.
type fact struct{ Name, Value string }

// Facts returns the filters of the replay in words.
func (j job) Facts() []fact {
	if b := j.GetBackfill(); b != nil {
		out := []fact{{"events accepted since", clock(b.GetStartTime().AsTime())}}
		if b.GetEndTime() != nil {
			out = append(out, fact{"events accepted before", clock(b.GetEndTime().AsTime())})
		}
		again := "excluded"
		if b.GetIncludeDelivered() {
			again = "included"
		}
		return append(out, fact{"already delivered", again})
	}
	d := j.GetDeliveries()
	state := "expired, rejected and cancelled"
	if d.GetState() != outboundv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED {
		state = strings.ToLower(d.GetState().String())
	}
	out := []fact{{"state", state}}
	for _, f := range []fact{
		{"recipient", named(j.names, d.GetRecipientId())}, {"event type", named(j.types, d.GetEventType())}, {"appliance", d.GetApplianceId()},
		{"session", d.GetSessionId()}, {"external key", d.GetExternalKey()}, {"error", classed(d.GetReasonClass())},
		{"reason", d.GetReason()}, {"channel", d.GetChannel()},
	} {
		if f.Value != "" {
			out = append(out, f)
		}
	}
	if t := d.GetStartTime(); t != nil {
		out = append(out, fact{"since", clock(t.AsTime())})
	}
	if t := d.GetEndTime(); t != nil {
		out = append(out, fact{"before", clock(t.AsTime())})
	}
	return out
}

func classed(class string) string {
	if class == "" {
		return ""
	}
	return web.ClassWords(class)
}

func named(names map[string]string, id string) string {
	if names[id] != "" {
		return names[id]
	}
	return id
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// listPage is the list of replays.
type listPage struct {
	Jobs []job
	// Running reports whether a replay is running.
	Running bool
}

func showReplays(r *web.Request) error {
	return renderList(r, func(p listPage) error { return r.Render("list", p) })
}

func showReplaysPart(r *web.Request) error {
	return renderList(r, func(p listPage) error { return r.RenderPart("list", "replays", p) })
}

func renderList(r *web.Request, render func(listPage) error) error {
	answer, err := r.API.Deliveries.ListReplays(r.Context(), &outboundv1.ListReplaysRequest{})
	if err != nil {
		return err
	}
	var p listPage
	names, types := labels(r)
	for _, one := range answer.GetReplays() {
		j := job{one, names, types}
		p.Jobs, p.Running = append(p.Jobs, j), p.Running || j.Running()
	}
	return render(p)
}

func labels(r *web.Request) (names, types map[string]string) {
	return web.Labels(web.RecipientChoices(r.Context(), r.API)), web.Labels(web.TypeChoices(r.Context(), r.API))
}

func showReplay(r *web.Request) error {
	return renderOne(r, func(j job) error { return r.Render("replay", j) })
}

func showReplayPart(r *web.Request) error {
	return renderOne(r, func(j job) error { return r.RenderPart("replay", "progress", j) })
}

func renderOne(r *web.Request, render func(job) error) error {
	one, err := r.API.Deliveries.GetReplay(r.Context(), &outboundv1.GetReplayRequest{Id: r.PathValue("id")})
	if err != nil {
		return err
	}
	names, types := labels(r)
	return render(job{one, names, types})
}

func cancel(r *web.Request) error {
	one, err := r.API.Deliveries.CancelReplay(r.Context(), &outboundv1.CancelReplayRequest{Id: r.PathValue("id")})
	form := &web.Form{}
	switch {
	case err == nil && one.GetState() == outboundv1.Replay_RUNNING:
		r.Flash(web.Good, "Cancelling. The replay stops when its process confirms.")
	case err == nil:
		r.Flash(web.Good, "Replay cancelled. Deliveries that are already queued still go out.")
	case form.Refused(err):
		r.Flash(web.Bad, form.Notice)
	default:
		return err
	}
	if one == nil {
		one = &outboundv1.Replay{Id: r.PathValue("id")}
	}
	return r.Redirect(job{Replay: one}.Address())
}
