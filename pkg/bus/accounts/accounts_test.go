package accounts_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/crypto/bcrypt"

	"github.com/outbound-events/outbound/pkg/bus/accounts"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

func TestAppliancesSignInByNameAndPasswordAndAreKeptApart(t *testing.T) {
	s := newSite(t, 1)
	s.intake()
	s.set("a-1", "one")
	s.set("a-2", "two")
	s.responder()
	one, two := s.mustSignIn("a-1", "one"), s.mustSignIn("a-2", "two")
	overheard, err := two.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	one.publishes(t, "outbound.ingest.a-1.support_conference_end")
	one.publishes(t, "outbound.ingest.a-1.com.example.ended")
	for what, subject := range map[string]string{
		"another's subject": "outbound.ingest.a-2.support_conference_end", "JetStream": "$JS.API.INFO",
		"a stream's subject": "outbound.events.a-1.support_conference_end", "an account's subject": "$SYS.REQ.CLAIMS.LIST",
		"a sign-in": "$SYS.REQ.USER.AUTH",
	} {
		if err := one.PublishRequest(subject, one.NewInbox(), nil); err != nil {
			t.Fatal(err)
		}
		if err := waittest.Receive(t, what+" to be refused", one.faults); !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v, want it refused", what, err)
		}
	}
	if _, err := one.Subscribe("$SYS.>", func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	if err := waittest.Receive(t, "a subscription to be refused", one.faults); !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("a subscription to $SYS.>: %v, want it refused", err)
	}
	if err := two.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := overheard.Pending(); n != 0 {
		t.Errorf("another appliance overheard %d messages", n)
	}
	s.refused("a-1", "two")
	s.refused("a-3", "one")
	s.refused("a-1", "")
	s.refused("", "")
	s.refused("outbound.core", "one")
}

func TestANewPasswordShutsTheOldOneOutAtOnce(t *testing.T) {
	s := newSite(t, 1)
	s.intake()
	s.set("a-1", "old")
	fresh, stale := s.responder(), s.responder()
	before := s.mustSignIn("a-1", "old")
	account := s.set("a-1", "new")
	fresh.Replace(s.hashes)
	if err := s.resolver.Delete(s.context(), []string{account.Key}); err != nil {
		t.Fatal(err)
	}
	waittest.Receive(t, "the end of the connection with the old password", before.closed)
	// One of the two responders has not heard of it. What it lets in is let in nowhere.
	for range 8 {
		s.refused("a-1", "old")
	}
	stale.Replace(s.hashes)
	s.mustSignIn("a-1", "new").publishes(t, "outbound.ingest.a-1.support_conference_end")
}

func TestAnApplianceThatIsAddedWhileItSignsInIsLetIn(t *testing.T) {
	s := newSite(t, 1)
	s.intake()
	r := s.responder()
	signedIn := make(chan error, 1)
	hash, err := bcrypt.GenerateFromPassword([]byte("one"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.operator.Account("a-1", string(hash))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := s.signIn("a-1", "one")
			if err == nil {
				_, err = c.Request("outbound.ingest.a-1.support_conference_end", nil, waittest.Limit)
			}
			if !errors.Is(err, nats.ErrAuthorization) {
				signedIn <- err
				return
			}
		}
	}()
	waittest.Until(t, "a sign-in that waits", func() bool { return r.Answering() > 0 })
	if err := s.resolver.Put(s.context(), a); err != nil {
		t.Fatal(err)
	}
	r.Replace(map[string]string{"a-1": string(hash)})
	if err := waittest.Receive(t, "the sign-in", signedIn); err != nil {
		t.Error(err)
	}
}

func TestAccountsSurviveARestartOfTheBroker(t *testing.T) {
	s := newSite(t, 1)
	s.intake()
	s.set("a-1", "one")
	s.responder()
	s.mustSignIn("a-1", "one")
	s.servers[0].Shutdown()
	s.servers[0].WaitForShutdown()
	s.run(0)
	// The responder comes back by itself; until then nobody answers a sign-in.
	waittest.NoError(t, "a sign-in after the restart", func() error {
		c, err := s.signIn("a-1", "one")
		if err != nil {
			return err
		}
		_, err = c.Request("outbound.ingest.a-1.support_conference_end", nil, 5*time.Second)
		return err
	})
}

func TestAClusterHasEachAccountOnAllServers(t *testing.T) {
	s := newSite(t, 3)
	s.intake()
	s.set("a-1", "one")
	s.responder()
	for i, url := range strings.Split(s.url, ",") {
		c, err := nats.Connect(url, nats.UserInfo("a-1", "one"), nats.Timeout(waittest.Limit))
		if err != nil {
			t.Fatalf("sign in at server %d: %v", i, err)
		}
		t.Cleanup(c.Close)
		(&client{Conn: c}).publishes(t, "outbound.ingest.a-1.support_conference_end")
	}
	// One server is away while another appliance is added; it learns of the account when it is back.
	s.servers[2].Shutdown()
	s.servers[2].WaitForShutdown()
	waittest.Until(t, "two servers to be left", func() bool {
		_, err := s.resolver.List(s.context())
		return err == nil && s.resolver.Servers() == 2
	})
	account := s.set("a-2", "two")
	if account.Key != "" {
		t.Errorf("a new appliance had the account %s", account.Key)
	}
	s.run(2)
	waittest.Until(t, "the third server to have the account", func() bool {
		list, err := s.resolver.List(s.context())
		everywhere := 0
		for _, all := range list {
			if all {
				everywhere++
			}
		}
		return err == nil && s.resolver.Servers() == 3 && everywhere == 5
	})
}

func TestAnAccountIsComparedWithWhatItShouldBe(t *testing.T) {
	s := newSite(t, 1)
	s.set("a-1", "one")
	now, err := s.operator.Account("a-1", s.hashes["a-1"])
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.operator.Account("a-2", s.hashes["a-1"])
	if err != nil {
		t.Fatal(err)
	}
	core, err := accounts.CoreAccount(s.file(accounts.FileCore))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		what, key string
		wanted    *accounts.Account
		want      accounts.State
	}{
		{"as it should be", now.Key, &now, accounts.Current}, {"another import", now.Key, &other, accounts.Outdated},
		{"nobody's", now.Key, nil, accounts.Unwanted}, {"missing", other.Key, &other, accounts.Outdated},
		{"Outbound's own", core, nil, accounts.Foreign},
	} {
		if got, err := s.resolver.Look(s.context(), x.key, x.wanted); err != nil || got != x.want {
			t.Errorf("an account that is %s: %v, %v; want %v", x.what, got, err, x.want)
		}
	}
}

func TestMakeOverwritesNothingAndFilesAreClosed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "broker")
	files, err := accounts.Make(dir, "/data/accounts")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if closed := info.Mode().Perm() == 0o600; closed == (filepath.Base(f) == accounts.FileConf) {
			t.Errorf("%s has mode %s", f, info.Mode())
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, seed := range []string{"SO", "SA", "SU", "PRIVATE"} {
			if filepath.Base(f) == accounts.FileConf && strings.Contains(string(text), "\n"+seed) {
				t.Errorf("%s holds a seed", f)
			}
		}
	}
	if _, err := accounts.Make(dir, "/data/accounts"); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("a second operator in the same folder: %v, want it refused", err)
	}
}
