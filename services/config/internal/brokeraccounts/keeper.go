// Package brokeraccounts keeps the accounts of appliances at a nats-server in operator mode as the settings say.
package brokeraccounts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/accounts"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// Settings are the settings as they change.
type Settings interface {
	// Current returns the settings as they were last read, nil before the first time, and what is closed at the next change.
	Current() (*outboundv1.WatchSettingsResponse, <-chan struct{})
}

// Deps are what a keeper works with.
type Deps struct {
	Resolver *accounts.Resolver
	Settings Settings
	// Every is the pause between two comparisons, if nothing changes.
	Every time.Duration
	// Hold returns nil if this process, and no other, may change something now.
	Hold store.Hold
	// Notices take what people must know. Nil: nobody is told.
	Notices *notice.Board
	Logger  *slog.Logger
}

// Keeper compares the accounts that the broker has with the appliances of the settings, and changes what differs.
type Keeper struct {
	Deps
	// right and foreign are accounts that were found as they should be, and that are not of appliances. Only Run uses them.
	right, foreign map[string]bool

	mu sync.Mutex
	// granted are the accounts that were made last, by appliance, as long as the settings may not know them yet.
	granted map[string]grant
}

// grant is an account that was made before its password was stored.
type grant struct {
	key string
	at  time.Time
}

// New returns a keeper.
func New(d Deps) *Keeper {
	return &Keeper{Deps: d, right: map[string]bool{}, foreign: map[string]bool{}, granted: map[string]grant{}}
}

const (
	// grantTime is how long Grant may take. What it has not done, Run does.
	grantTime = 2 * time.Second
	// grantKept is how long an account is left alone that the settings do not name yet.
	grantKept = time.Minute
	// retryPause is the pause after a comparison that failed.
	retryPause = time.Second
	// deletedAtOnce is how many accounts one request deletes.
	deletedAtOnce = 500
	// keyNotice is the notice that the accounts differ.
	keyNotice = "broker.accounts"
)

// Grant makes the account of an appliance before its new password is stored, so that who knows the password can use it. An empty hash says
// that the appliance is about to be removed. It does not fail: Run makes up for it.
func (k *Keeper) Grant(ctx context.Context, id, passwordBcrypt string) {
	if passwordBcrypt == "" {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.granted, id)
		return
	}
	a, err := k.Resolver.Account(id, passwordBcrypt)
	if err == nil {
		k.mu.Lock()
		k.granted[id] = grant{a.Key, time.Now()}
		k.mu.Unlock()
		ctx, cancel := context.WithTimeout(ctx, grantTime)
		defer cancel()
		err = k.Resolver.Put(ctx, a)
	}
	if err != nil {
		k.Logger.WarnContext(ctx, "account of an appliance not made, will be retried", telemetry.KeyAppliance, id,
			telemetry.KeyError, err.Error())
	}
}

// recent are the accounts that were granted a moment ago. Those of earlier, and those that are wanted, are forgotten.
func (k *Keeper) recent(wanted map[string]accounts.Account) map[string]bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := map[string]bool{}
	for id, x := range k.granted {
		if _, known := wanted[x.key]; known || time.Since(x.at) > grantKept {
			delete(k.granted, id)
			continue
		}
		out[x.key] = true
	}
	return out
}

// Run compares at the start, at each change of the settings and at least once per Every, until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		settings, changed := k.Settings.Current()
		next := k.Every
		if settings != nil && k.Hold.Check(ctx) == nil {
			err := k.compare(ctx, settings.GetAppliances())
			switch {
			case err == nil:
				k.Notices.Clear(keyNotice)
			case ctx.Err() == nil:
				next = min(next, retryPause)
				k.Notices.Set(keyNotice, fmt.Sprintf("the accounts of appliances at the broker are not up to date: %v", err))
			}
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-t.C:
		}
		t.Stop()
	}
}

// compare makes the accounts that are missing, and deletes those that nobody has any more.
func (k *Keeper) compare(ctx context.Context, appliances []*outboundv1.StoredAppliance) error {
	wanted := make(map[string]accounts.Account, len(appliances))
	for _, x := range appliances {
		a, err := k.Resolver.Account(x.GetAppliance().GetId(), x.GetPasswordBcrypt())
		if err != nil {
			return err
		}
		wanted[a.Key] = a
	}
	listed, err := k.Resolver.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for key, a := range wanted {
		if k.right[key] && listed[key] {
			continue
		}
		delete(k.right, key)
		errs = append(errs, k.correct(ctx, a, listed[key]))
	}
	return errors.Join(append(errs, k.discard(ctx, listed, wanted))...)
}

// correct makes or changes an account. everywhere says that all servers have it in some form.
func (k *Keeper) correct(ctx context.Context, a accounts.Account, everywhere bool) error {
	if everywhere {
		state, err := k.Resolver.Look(ctx, a.Key, &a)
		if err != nil {
			return err
		}
		if state == accounts.Current {
			k.right[a.Key] = true
			return nil
		}
	}
	if err := k.Resolver.Put(ctx, a); err != nil {
		return err
	}
	k.right[a.Key] = true
	return nil
}

// discard deletes the accounts of appliances that are gone or have another password.
func (k *Keeper) discard(ctx context.Context, listed map[string]bool, wanted map[string]accounts.Account) error {
	var gone []string
	recent := k.recent(wanted)
	for key := range listed {
		if _, ok := wanted[key]; ok || k.foreign[key] || recent[key] {
			continue
		}
		state, err := k.Resolver.Look(ctx, key, nil)
		switch {
		case err != nil:
			return err
		case state == accounts.Unwanted:
			gone = append(gone, key)
		case state == accounts.Foreign:
			k.foreign[key] = true
		}
	}
	for len(gone) > 0 {
		n := min(len(gone), deletedAtOnce)
		if err := k.Resolver.Delete(ctx, gone[:n]); err != nil {
			return err
		}
		for _, key := range gone[:n] {
			delete(k.right, key)
		}
		gone = gone[n:]
	}
	return nil
}
