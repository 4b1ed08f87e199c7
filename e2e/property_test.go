package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// TestTheSumsAddUp does what operators, appliances, receivers and bad luck do, in an order that a seed gives, then mends everything
// and checks that each event accepted while a recipient existed, and each replay, has come to exactly one final state there.
func TestTheSumsAddUp(t *testing.T) {
	t.Parallel()
	h := harness.Start(t, harness.Services)
	first := uint64(time.Now().Unix()) << 3
	var plays []*scenario
	for seed := first; seed < first+4; seed++ {
		t.Logf("seed %d", seed)
		p := newPlay(t, h, seed)
		for range 120 {
			p.step()
		}
		plays = append(plays, p)
	}
	// What a killed sender had in hand comes back after the ack wait, for all of them at once.
	for _, p := range plays {
		p.drain()
	}
	for _, p := range plays {
		p.check()
	}
}

// owed is one delivery that must come to one end.
type owed struct{ recipient, key, replay string }

// configLag is how long a change of the configuration may take to act (README.md).
const configLag = 5 * time.Second

// party is a recipient in the play.
type party struct {
	id, site         string
	enabled, deleted bool
	// late are events accepted so soon after the deletion that a sender need not have heard of it.
	late      map[string]bool
	deletedAt time.Time
}

// scenario is one random course of things, and what it must come to.
type scenario struct {
	t          *testing.T
	h          *harness.System
	rnd        *rand.Rand
	site       *harness.Receiver
	a          *harness.Appliance
	seed       uint64
	keys       []string
	recipients []*party
	owed       map[owed]bool
	jobs       []string
	log        []string
	kills      int
}

func newPlay(t *testing.T, h *harness.System, seed uint64) *scenario {
	p := &scenario{t: t, h: h, seed: seed, rnd: rand.New(rand.NewPCG(seed, 7)), site: harness.NewReceiver(t), owed: map[owed]bool{}}
	p.a = h.AddAppliance(t, fmt.Sprintf("play-%d", seed))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d did: %v", seed, p.log)
		}
	})
	p.create()
	p.create()
	return p
}

func (p *scenario) note(format string, args ...any) {
	p.log = append(p.log, fmt.Sprintf(format, args...))
}

// one picks a recipient that exists.
func (p *scenario) one() *party {
	living := slices.DeleteFunc(slices.Clone(p.recipients), func(x *party) bool { return x.deleted })
	return living[p.rnd.IntN(len(living))]
}

// step does one thing.
func (p *scenario) step() {
	switch n := p.rnd.IntN(100); {
	case n < 40:
		p.publish(1 + p.rnd.IntN(4))
	case n < 52:
		p.answer()
	case n < 60:
		p.enable()
	case n < 64:
		p.create()
	case n < 67:
		p.remove()
	case n < 73:
		p.retry()
	case n < 88:
		p.operatorChange()
	case n < 92:
		p.purge()
	case n < 97:
		p.replay()
	default:
		p.kill()
	}
}

func (p *scenario) publish(n int) {
	for range n {
		e := harness.NewEvent(p.a.ID, fmt.Sprint("e-", len(p.keys)), ended, harness.Object{})
		publish(p.t, p.a, e)
		p.keys = append(p.keys, e.Key())
		for _, x := range p.recipients {
			switch {
			case !x.deleted:
				p.owed[owed{x.id, e.Key(), ""}] = true
			case time.Since(x.deletedAt) < configLag:
				x.late[e.Key()] = true
			}
		}
	}
	p.note("publish %d", n)
}

func (p *scenario) answer() {
	x, status := p.one(), []int{200, 200, 500, 503, 400, 429}[p.rnd.IntN(6)]
	p.site.Answer(x.site, status)
	p.note("%s answers %d", x.id, status)
}

func (p *scenario) enable() {
	x := p.one()
	x.enabled = !x.enabled
	policy := []string{"SKIP", "HOLD"}[p.rnd.IntN(2)]
	p.h.REST.Do(p.t, http.MethodPatch, "/v1/recipients/"+x.id, harness.Object{"enabled": x.enabled, "whileDisabled": policy})
	p.note("%s enabled %v %s", x.id, x.enabled, policy)
}

func (p *scenario) create() {
	x := &party{late: map[string]bool{}, site: fmt.Sprintf("play-%d-%d", p.seed, len(p.recipients)), enabled: true}
	order := []string{"NONE", "NONE", "STRICT"}[p.rnd.IntN(3)]
	r := webhook(x.site, p.site.URL(x.site), []string{ended}, harness.Object{"retryInterval": "3s", "retryDuration": "8s", "order": order})
	r["appliances"] = []string{p.a.ID}
	x.id = p.h.AddRecipient(p.t, r)
	p.recipients = append(p.recipients, x)
	p.note("create %s %s", x.id, order)
}

func (p *scenario) remove() {
	x := p.one()
	if len(p.recipients) < 3 || x == p.recipients[0] {
		return
	}
	p.h.REST.Do(p.t, http.MethodDelete, "/v1/recipients/"+x.id, nil)
	x.deleted, x.deletedAt = true, time.Now()
	p.note("delete %s", x.id)
}

// some are targets at a recipient.
func (p *scenario) some(x *party) (keys []string) {
	for range min(4, len(p.keys)) {
		if key := p.keys[len(p.keys)-1-p.rnd.IntN(min(30, len(p.keys)))]; !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (p *scenario) retry() {
	x := p.one()
	keys := p.some(x)
	if len(keys) == 0 {
		return
	}
	// The acceptance of an event is told a moment after it was answered.
	var answer harness.Answer
	waittest.NoError(p.t, "the events to be known", func() (err error) {
		if answer, err = p.h.REST.Call(http.MethodPost, "/v1/deliveries:retry", targets(x.id, keys...)); err == nil &&
			answer.Status != http.StatusOK {
			err = fmt.Errorf("it answers %d %s", answer.Status, answer.Body)
		}
		return err
	})
	got := answer.Object(p.t)
	for _, key := range keys {
		p.owed[owed{x.id, key, fmt.Sprint(got["replayId"])}] = true
	}
	p.note("retry %s %v as %v", x.id, keys, got["replayId"])
}

func (p *scenario) operatorChange() {
	x := p.one()
	keys := p.some(x)
	if len(keys) == 0 {
		return
	}
	what, body := []string{"sendNow", "sendNow", "extend", "cancel"}[p.rnd.IntN(4)], targets(x.id, keys...)
	if what == "extend" {
		body["by"] = "60s"
	}
	got := p.h.REST.Do(p.t, http.MethodPost, "/v1/deliveries:"+what, body)
	list, _ := got["unchanged"].([]any)
	if n, _ := got["changed"].(float64); int(n)+len(list) != len(keys) {
		p.t.Errorf("%s of %d says %v", what, len(keys), got)
	}
	p.note("%s %s %v: %v", what, x.id, keys, got["changed"])
}

func (p *scenario) purge() {
	x := p.one()
	got := p.h.REST.Do(p.t, http.MethodPost, "/v1/recipients/"+x.id+":purge", harness.Object{})
	p.note("purge %s: %v", x.id, got["cancelled"])
}

func (p *scenario) replay() {
	x := p.one()
	body := harness.Object{"deliveries": harness.Object{"recipientId": x.id}, "rate": 100}
	if p.rnd.IntN(3) == 0 {
		body["toRecipientId"] = p.one().id
	}
	id := fmt.Sprint(p.h.REST.Do(p.t, http.MethodPost, "/v1/replays", body)["id"])
	if p.rnd.IntN(4) == 0 {
		p.h.REST.Do(p.t, http.MethodPost, "/v1/replays/"+id+":cancel", harness.Object{})
	}
	p.jobs = append(p.jobs, id)
	p.note("replay %s to %v as %s", x.id, body["toRecipientId"], id)
}

func (p *scenario) kill() {
	if p.kills >= 2 {
		return
	}
	p.kills++
	part := []string{"http-sender-1", "http-sender-2", "history"}[p.rnd.IntN(3)]
	p.h.Kill(p.t, part)
	p.h.StartPart(p.t, part)
	waittest.NoError(p.t, "the API to reach "+part+" again", func() error {
		a, err := p.h.REST.Call(http.MethodGet, "/v1/replays", nil)
		if err == nil && a.Status != http.StatusOK {
			err = fmt.Errorf("it answers %d", a.Status)
		}
		return err
	})
	p.note("kill %s", part)
}

// drain mends everything and waits until nothing is left to do.
func (p *scenario) drain() {
	for _, x := range p.recipients {
		p.site.Answer(x.site, 200)
		if !x.deleted && !x.enabled {
			p.h.REST.Do(p.t, http.MethodPatch, "/v1/recipients/"+x.id, harness.Object{"enabled": true})
		}
	}
	for _, id := range p.jobs {
		waittest.NoError(p.t, "replay "+id+" to end", func() error {
			if r := p.h.REST.Do(p.t, http.MethodGet, "/v1/replays/"+id, nil); r["state"] == "RUNNING" {
				return fmt.Errorf("it is %v", r)
			}
			return nil
		})
	}
	for _, x := range p.recipients {
		waittest.NoError(p.t, x.id+" to have nothing left", func() error { return p.left(x.id) })
	}
	waittest.NoError(p.t, "all that was replayed to have ended", p.replayed)
}

// replayed tells of a replay whose deliveries have not all come to an end. They are owed to nobody by name, and what has not been tried has
// no record.
func (p *scenario) replayed() error {
	ended := map[string]int{}
	for _, x := range p.recipients {
		for _, d := range p.all(x.id) {
			if d["state"] != "RETRYING" {
				ended[fmt.Sprint(d["replayId"])]++
			}
		}
	}
	for _, id := range p.jobs {
		if r := p.h.REST.Do(p.t, http.MethodGet, "/v1/replays/"+id, nil); r["queued"] != fmt.Sprint(ended[id]) {
			return fmt.Errorf("of replay %s %d deliveries have ended; it says %v", id, ended[id], r)
		}
	}
	return nil
}

// left tells what a recipient has not come to an end with. Each delivery that is owed is looked for by itself: what nobody has tried
// yet has no record, and replays have records beside those of what they repeat.
func (p *scenario) left(id string) error {
	ended := map[owed]bool{}
	for _, d := range p.all(id) {
		o := owed{id, fmt.Sprint(d["eventId"]), fmt.Sprint(d["replayId"])}
		if d["state"] == "RETRYING" {
			return fmt.Errorf("%+v is being retried", o)
		}
		ended[o] = true
	}
	for o := range p.owed {
		if o.recipient == id && !ended[o] {
			return fmt.Errorf("%+v has no record", o)
		}
	}
	return nil
}

// check compares what is recorded with what is owed.
func (p *scenario) check() {
	queued := map[string]int{}
	for _, x := range p.recipients {
		for _, d := range p.all(x.id) {
			o := owed{x.id, fmt.Sprint(d["eventId"]), fmt.Sprint(d["replayId"])}
			if slices.Contains(p.jobs, o.replay) {
				queued[o.replay]++
			} else if !p.owed[o] && (!x.deleted || d["state"] != "CANCELLED" && !x.late[fmt.Sprint(d["eventId"])]) {
				p.t.Errorf("nobody owed %+v, which is %v", o, d["state"])
			}
			delete(p.owed, o)
			p.oneEnd(o)
		}
	}
	for o := range p.owed {
		p.t.Errorf("%+v came to no end", o)
	}
	for _, id := range p.jobs {
		r := p.h.REST.Do(p.t, http.MethodGet, "/v1/replays/"+id, nil)
		if r["queued"] != fmt.Sprint(queued[id]) || r["state"] == "DONE" && r["total"] != fmt.Sprint(atoi(r["queued"])+atoi(r["unavailable"])) {
			p.t.Errorf("of replay %s there are %d deliveries; it says %v", id, queued[id], r)
		}
	}
}

func atoi(v any) (n int) {
	_, _ = fmt.Sscan(fmt.Sprint(v), &n)
	return n
}

// all are the deliveries to a recipient.
func (p *scenario) all(id string) (out []harness.Object) {
	for token := ""; ; {
		q := url.Values{"recipient_id": {id}, "page_size": {"1000"}, "page_token": {token}}
		page := p.h.REST.Do(p.t, http.MethodGet, "/v1/deliveries?"+q.Encode(), nil)
		list, _ := page["deliveries"].([]any)
		for _, x := range list {
			out = append(out, x.(harness.Object))
		}
		if token, _ = page["nextPageToken"].(string); token == "" {
			return out
		}
	}
}

// oneEnd checks that the log has one final record of a delivery, and that it is the last.
func (p *scenario) oneEnd(o owed) {
	q := url.Values{"replay_id": {o.replay}}
	d := p.h.REST.Do(p.t, http.MethodGet, "/v1/deliveries/"+o.recipient+"/"+url.PathEscape(o.key)+"?"+q.Encode(), nil)
	list, _ := d["attempts"].([]any)
	var states []string
	finals := 0
	for _, x := range list {
		s := fmt.Sprint(x.(harness.Object)["state"])
		states = append(states, s)
		if s != "RETRYING" {
			finals++
		}
	}
	if finals != 1 || states[len(states)-1] == "RETRYING" {
		p.t.Errorf("%+v went through %v", o, states)
	}
}
