// Package configclient watches recipients and settings at the config service over gRPC. It keeps the last known state, so that
// senders and intake continue while the config service is down.
package configclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Options say what is watched.
type Options struct {
	// Channel limits the recipients to one channel; empty: all.
	Channel recipient.Channel
	// NoRecipients watches the settings alone.
	NoRecipients bool
	// Settings asks for the settings as well. They are watched in any case for a channel whose limits they hold.
	Settings bool
	// Bookmarks asks the config service how recent the recipients are. See CompleteThrough.
	Bookmarks bool
	// Sealer opens secrets. Without one they are left out.
	Sealer *secret.Sealer
	// Name is what this process is called at the config service.
	Name string
	// Logger logs when the config service is lost. Default: slog's.
	Logger *slog.Logger
}

// Pauses between two attempts to reach the config service.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 3 * time.Second
)

// Client has the recipients and settings that the config service sent last. Its methods are safe for concurrent use.
type Client struct {
	recipients outboundv1.RecipientServiceClient
	settings   outboundv1.SettingsServiceClient
	o          Options
	log        *slog.Logger

	mu sync.RWMutex
	// known is what the stream sent, before the settings are applied; shown is what callers see.
	known map[string]*recipient.Recipient
	shown map[string]*recipient.Recipient
	now   *settings.Settings
	// changed is closed and replaced when what callers see changes.
	changed chan struct{}
	// bookmark is how recent the recipients are; ask says that somebody waits for a later one.
	bookmark bookmark
	ask      chan struct{}
	// awaited counts the first snapshots that are still to come.
	awaited       int
	ready         chan struct{}
	gotRecipients bool
	gotSettings   bool
	// ring are the sealing keys. unopened are recipients whose secrets no key at hand opens, late those that were opened before the first
	// snapshot was complete. opened says that any secret was opened, keyError why one was not.
	ring     *outboundv1.Keyring
	unopened map[string]*outboundv1.StoredRecipient
	late     map[string]*recipient.Recipient
	opened   bool
	keyError error

	// calls guards listeners and their calls, so that no two run at once.
	calls     sync.Mutex
	listeners []func()
}

// New returns a client on a connection. It is empty until Run has received a snapshot.
func New(conn grpc.ClientConnInterface, o Options) *Client {
	if d, _ := recipient.Describe(o.Channel); d.SharedLimits && !o.NoRecipients {
		o.Settings = true
	}
	c := &Client{
		recipients: outboundv1.NewRecipientServiceClient(conn), settings: outboundv1.NewSettingsServiceClient(conn),
		o: o, log: o.Logger, ready: make(chan struct{}), now: defaultSettings(), changed: make(chan struct{}),
		known: map[string]*recipient.Recipient{}, shown: map[string]*recipient.Recipient{},
		unopened: map[string]*outboundv1.StoredRecipient{}, late: map[string]*recipient.Recipient{},
		bookmark: bookmark{changed: make(chan struct{})}, ask: make(chan struct{}, 1),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if !o.NoRecipients {
		c.awaited++
	}
	if o.Settings {
		c.awaited++
	}
	if c.awaited == 0 {
		close(c.ready)
	}
	return c
}

func defaultSettings() *settings.Settings {
	s := &settings.Settings{
		SMTP: settings.SMTP{Encryption: settings.STARTTLS, Auth: settings.NoAuth},
		Email: settings.Email{RetryInterval: recipient.DefaultEmailRetryInterval, RetryDuration: recipient.DefaultRetryDuration,
			Location: time.UTC},
		CustomFieldNames: map[string]string{}, Types: map[string]event.Type{}, Appliances: map[string]settings.ApplianceAuth{},
	}
	for _, t := range event.Catalogue() {
		s.Types[t.ID] = t
	}
	return s
}

// Run watches until ctx ends, and then returns nil. A stream that breaks off is opened again after a growing pause; what was
// known stays known meanwhile, and the new stream's snapshot removes what is gone.
func (c *Client) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	if !c.o.NoRecipients {
		wg.Go(func() { c.keep(ctx, "recipients", c.watchRecipients) })
	}
	if !c.o.NoRecipients && c.o.Bookmarks {
		wg.Go(func() { c.askLoop(ctx) })
	}
	if c.o.Settings {
		wg.Go(func() { c.keep(ctx, "settings", c.watchSettings) })
	}
	if c.o.Settings && c.o.Sealer != nil {
		wg.Go(func() { c.keepKeys(ctx) })
	}
	wg.Wait()
	return nil
}

// Ready is closed once the first full snapshot of all that is watched is here.
func (c *Client) Ready() <-chan struct{} { return c.ready }

// ErrNotTold says that the first full snapshot is not here yet.
var ErrNotTold = errors.New("the config service has not sent the configuration yet")

// Told returns ErrNotTold until the first full snapshot of all that is watched is here, and nil from then on. What is not known before
// that may exist: who is asked for it must not deny it.
func (c *Client) Told() error {
	select {
	case <-c.ready:
		return nil
	default:
		return ErrNotTold
	}
}

// Recipient returns the recipient with an id, if there is one.
func (c *Client) Recipient(id string) (*recipient.Recipient, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	r, ok := c.shown[id]
	return r, ok
}

// Recipients returns all recipients by id, including those that are being deleted.
func (c *Client) Recipients() []*recipient.Recipient {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]*recipient.Recipient, 0, len(c.shown))
	for _, r := range c.shown {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *recipient.Recipient) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// Settings returns the last settings; before the first, the defaults with the built-in types. Never nil.
func (c *Client) Settings() *settings.Settings {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.now
}

// OnChange has f called after each change, the first snapshot included. Calls do not overlap, so f should be quick; several
// changes may be joined into one call.
func (c *Client) OnChange(f func()) {
	c.calls.Lock()
	defer c.calls.Unlock()
	c.listeners = append(c.listeners, f)
}

func (c *Client) notify() {
	c.mu.Lock()
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	c.calls.Lock()
	defer c.calls.Unlock()
	for _, f := range c.listeners {
		f()
	}
}

// keep opens a stream again and again. watch reports whether it came as far as a snapshot.
func (c *Client) keep(ctx context.Context, what string, watch func(context.Context) (bool, error)) {
	pause, lost := firstPause, ""
	for ctx.Err() == nil {
		synced, err := watch(ctx)
		if ctx.Err() != nil {
			return
		}
		if synced {
			pause, lost = firstPause, ""
		}
		if errors.Is(err, errOtherKeys) {
			continue
		}
		if text := fmt.Sprint(err); text != lost {
			c.log.WarnContext(ctx, "connection to the config service lost, using the last known configuration", logkey.Watch, what,
				telemetry.KeyError, text)
			lost = text
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(pause*2, lastPause)
	}
}
