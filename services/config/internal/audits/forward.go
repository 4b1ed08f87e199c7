package audits

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/bus/auditlog"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/pause"
)

// sink takes entries, one by one. One that it has taken is not sent again.
type sink interface {
	send(ctx context.Context, s audit.Stored) error
	close()
}

// sinks are those of the options, by name.
func sinks(o Options) (map[string]sink, error) {
	out := map[string]sink{}
	if o.Syslog.Address != "" {
		roots, err := rootsOf(o.Syslog.CAFile)
		if err != nil {
			return nil, fmt.Errorf("audit.syslog.caFile: %w", err)
		}
		out["syslog"] = newSyslog(o.Syslog, roots)
	}
	if o.Webhook.URL != "" {
		roots, err := rootsOf(o.Webhook.CAFile)
		if err != nil {
			return nil, fmt.Errorf("audit.webhook.caFile: %w", err)
		}
		out["webhook"] = newWebhook(o.Webhook, roots)
	}
	return out, nil
}

// rootsOf are the certificates in a file; nil: the system's.
func rootsOf(file string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if file == "" {
		return c, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return c, nil
}

const (
	// firstPause is the pause after an entry that was not taken; it doubles up to longestPause.
	firstPause   = time.Second
	longestPause = time.Minute
	// idle is the pause after the last entry.
	idle = time.Second
	// sendTimeout bounds one try.
	sendTimeout = 15 * time.Second
	// saveEvery is after how many entries the position is saved, at the latest.
	saveEvery = 100
)

// forwarder sends entries on, in their order, from where it was.
type forwarder struct {
	name    string
	log     *auditlog.Log
	to      sink
	notices *notice.Board
	hold    func(ctx context.Context) error
}

// run sends until ctx ends.
func (f forwarder) run(ctx context.Context) {
	defer f.to.close()
	again := firstPause
	for ctx.Err() == nil {
		err := f.pass(ctx)
		if err == nil || ctx.Err() != nil {
			f.notices.Clear(f.key())
			again = firstPause
			pause.For(ctx, idle)
			continue
		}
		f.notices.Set(f.key(), fmt.Sprintf("Audit entries are not sent on by audit.%s: %v. They wait in the audit log and are sent later.",
			f.name, err))
		pause.For(ctx, again)
		again = min(2*again, longestPause)
	}
}

func (f forwarder) key() string { return noticeAudit + "." + f.name }

// pass sends all entries that wait.
func (f forwarder) pass(ctx context.Context) error {
	if f.hold != nil {
		if err := f.hold(ctx); err != nil {
			return err
		}
	}
	at, err := f.log.Position(ctx, f.name)
	if err != nil {
		return err
	}
	saved := at
	err = f.log.Each(ctx, at+1, func(s audit.Stored) (bool, error) {
		limited, cancel := context.WithTimeout(ctx, sendTimeout)
		defer cancel()
		if err := f.to.send(limited, s); err != nil {
			return false, fmt.Errorf("send entry %d: %w", s.Number, err)
		}
		at = s.Sequence
		if at-saved < saveEvery {
			return true, nil
		}
		saved = at
		return true, f.log.SavePosition(ctx, f.name, at)
	})
	if at != saved {
		if failed := f.log.SavePosition(context.WithoutCancel(ctx), f.name, at); err == nil {
			err = failed
		}
	}
	return err
}

// body is an entry as it is sent: as it is hashed, with its hash.
func body(s audit.Stored) ([]byte, error) {
	raw, err := json.Marshal(struct {
		Hash  string          `json:"hash"`
		Entry json.RawMessage `json:"entry"`
	}{s.Hash, s.Raw})
	if err != nil {
		return nil, fmt.Errorf("encode the entry: %w", err)
	}
	return raw, nil
}
