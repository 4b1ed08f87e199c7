package brokeraccounts_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/accounts"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/brokeraccounts"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// settings are settings that the test changes.
type settings struct {
	mu      sync.Mutex
	now     *outboundv1.WatchSettingsResponse
	changed chan struct{}
}

func (s *settings) Current() (*outboundv1.WatchSettingsResponse, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.changed
}

// set gives each appliance a hash.
func (s *settings) set(hashes map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = &outboundv1.WatchSettingsResponse{}
	for id, hash := range hashes {
		s.now.Appliances = append(s.now.Appliances, &outboundv1.StoredAppliance{Appliance: &outboundv1.Appliance{Id: id}, PasswordBcrypt: hash})
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// site is a broker in operator mode, and who asks its system account.
type site struct {
	t        *testing.T
	broker   *bustest.Server
	operator *accounts.Operator
	resolver *accounts.Resolver
	notices  *notice.Board
	settings *settings
}

func newSite(t *testing.T) *site {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "broker")
	b := bustest.StartOperator(t, dir)
	keys, err := accounts.ReadKeys(filepath.Join(dir, accounts.FileAppliances))
	if err != nil {
		t.Fatal(err)
	}
	core, err := accounts.CoreAccount(filepath.Join(dir, accounts.FileCore))
	if err != nil {
		t.Fatal(err)
	}
	operator, err := accounts.NewOperator(filepath.Join(dir, accounts.FileOperator), keys, core)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	resolver, err := accounts.NewResolver(ctx, bus.Options{URL: b.URL(), Name: "config"}, filepath.Join(dir, accounts.FileSystem), operator)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	return &site{t: t, broker: b, operator: operator, resolver: resolver, notices: notice.NewBoard(slog.New(slog.DiscardHandler)),
		settings: &settings{changed: make(chan struct{})}}
}

// keep runs a keeper until the test ends. hold says whether it may change something.
func (s *site) keep(hold func(context.Context) error) *brokeraccounts.Keeper {
	k := brokeraccounts.New(brokeraccounts.Deps{Resolver: s.resolver, Settings: s.settings, Every: 50 * time.Millisecond, Hold: hold,
		Notices: s.notices, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); k.Run(ctx) }()
	s.t.Cleanup(func() { cancel(); <-ended })
	return k
}

func (s *site) account(id, hash string) accounts.Account {
	s.t.Helper()
	a, err := s.operator.Account(id, hash)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// has waits until the broker has exactly these accounts of appliances besides its own three.
func (s *site) has(want ...accounts.Account) {
	s.t.Helper()
	waittest.NoError(s.t, "the accounts to be right", func() error {
		list, err := s.resolver.List(s.t.Context())
		if err != nil {
			return err
		}
		for _, a := range want {
			if !list[a.Key] {
				return fmt.Errorf("account %s is missing", a.Key)
			}
		}
		if len(list) != len(want)+3 {
			return fmt.Errorf("there are %d accounts, want %d and three", len(list), len(want))
		}
		return nil
	})
}

func TestTheBrokerHasTheAccountsOfTheSettings(t *testing.T) {
	s := newSite(t)
	stray := s.account("gone-1", "hash of a time when nobody looked")
	if err := s.resolver.Put(t.Context(), stray); err != nil {
		t.Fatal(err)
	}
	s.has(stray)
	// Before the settings are known, nothing is made and nothing deleted.
	s.keep(nil)
	s.has(stray)
	s.settings.set(map[string]string{"a-1": "one", "a-2": "two"})
	s.has(s.account("a-1", "one"), s.account("a-2", "two"))
	s.settings.set(map[string]string{"a-1": "another", "a-3": "three"})
	s.has(s.account("a-1", "another"), s.account("a-3", "three"))
	// What somebody else deletes comes back.
	if err := s.resolver.Delete(t.Context(), []string{s.account("a-3", "three").Key}); err != nil {
		t.Fatal(err)
	}
	s.has(s.account("a-1", "another"), s.account("a-3", "three"))
	s.settings.set(nil)
	s.has()
}

func TestAnAccountThatIsGrantedWaitsForItsSettings(t *testing.T) {
	s := newSite(t)
	s.settings.set(map[string]string{"a-1": "one"})
	k := s.keep(nil)
	s.has(s.account("a-1", "one"))
	k.Grant(t.Context(), "a-2", "two")
	for range 3 { // passes that do not know it leave it
		s.settings.set(map[string]string{"a-1": "one"})
		s.has(s.account("a-1", "one"), s.account("a-2", "two"))
	}
}

func TestAnAccountThatWasJustGrantedGoesWithTheNextPassword(t *testing.T) {
	s := newSite(t)
	var passes atomic.Int64
	s.settings.set(nil)
	k := s.keep(func(context.Context) error { passes.Add(1); return nil })
	// at once says what the broker has after the next whole pass, and not only when a grant is old.
	atOnce := func(want ...accounts.Account) {
		t.Helper()
		goal := passes.Load() + 3
		waittest.Until(t, "some passes", func() bool { return passes.Load() >= goal })
		s.has(want...)
		if n := passes.Load(); n > goal+60 {
			t.Errorf("it took %d passes", n-goal)
		}
	}
	k.Grant(t.Context(), "a-1", "one")
	atOnce(s.account("a-1", "one"))
	k.Grant(t.Context(), "a-1", "two") // the settings were never seen with the first
	s.settings.set(map[string]string{"a-1": "two"})
	atOnce(s.account("a-1", "two"))
	k.Grant(t.Context(), "a-1", "three")
	s.settings.set(map[string]string{"a-1": "three"})
	atOnce(s.account("a-1", "three"))
	k.Grant(t.Context(), "a-1", "")
	s.settings.set(nil)
	atOnce()
	k.Grant(t.Context(), "a-2", "one")
	k.Grant(t.Context(), "a-2", "")
	atOnce()
}

func TestAStandbyChangesNothing(t *testing.T) {
	s := newSite(t)
	var mu sync.Mutex
	standby, looked := true, 0
	s.settings.set(map[string]string{"a-1": "one"})
	s.keep(func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		looked++
		if standby {
			return context.Canceled
		}
		return nil
	})
	waittest.Until(t, "some passes", func() bool { mu.Lock(); defer mu.Unlock(); return looked > 5 })
	s.has()
	mu.Lock()
	standby = false
	mu.Unlock()
	s.has(s.account("a-1", "one"))
}

func TestABrokerThatIsAwayIsNoticed(t *testing.T) {
	s := newSite(t)
	s.settings.set(map[string]string{"a-1": "one"})
	s.keep(nil)
	s.has(s.account("a-1", "one"))
	s.broker.Stop()
	s.settings.set(map[string]string{"a-1": "one", "a-2": "two"})
	told := func() bool { return strings.Contains(strings.Join(s.notices.All(), "\n"), "accounts of appliances") }
	waittest.Until(t, "the notice", told)
	s.broker.Restart()
	s.has(s.account("a-1", "one"), s.account("a-2", "two"))
	waittest.Until(t, "the notice to end", func() bool { return !told() })
}
