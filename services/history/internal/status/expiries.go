package status

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
)

// The kinds of what expires.
const (
	expiryCA     = "ca_certificate"
	expiryClient = "client_certificate"
	// expiryReceiver and expiryRelay are the certificates that the other side presents.
	expiryReceiver = "receiver_certificate"
	expiryRelay    = "relay_certificate"
	expirySecret   = "signing_secret" // #nosec G101 -- a word, no secret
	expiryToken    = "api_token"      // #nosec G101 -- a word, no secret
	// expiryAppliance is the token of an appliance for POST /v1/events.
	expiryAppliance = "appliance_token" // #nosec G101 -- a word, no secret
)

const (
	// warnBefore is how long before an expiry its notice begins.
	warnBefore = 30 * 24 * time.Hour
	// maxExpiries is how many expiries are listed, maxExpiryNotices how many have a notice of their own.
	maxExpiries      = 500
	maxExpiryNotices = 5
)

// expiry is a certificate, secret or token that expires.
type expiry struct {
	kind, resource, subject string
	at                      time.Time
	// warn is how long before its notice begins; 0: warnBefore.
	warn time.Duration
}

// expiryCache keeps the expiries of each recipient, so that certificates are read once.
type expiryCache struct {
	mu    sync.Mutex
	known map[string]knownExpiries
}

type knownExpiries struct {
	start, revision uint64
	list            []expiry
}

func (e *expiryCache) ofRecipients(recipients []*recipient.Recipient) []expiry {
	e.mu.Lock()
	defer e.mu.Unlock()
	still := make(map[string]knownExpiries, len(recipients))
	var out []expiry
	for _, r := range recipients {
		k, ok := e.known[r.ID]
		if !ok || k.start != r.StartSequence || k.revision != r.Revision {
			k = knownExpiries{start: r.StartSequence, revision: r.Revision, list: expiriesOf(r)}
		}
		still[r.ID] = k
		out = append(out, k.list...)
	}
	e.known = still
	return out
}

// expiriesOf returns what of a recipient expires.
func expiriesOf(r *recipient.Recipient) []expiry {
	if r.Deleting {
		return nil
	}
	resource := "recipients/" + r.ID
	roots, client, secrets := r.Credentials()
	out := certificates(expiryCA, resource, roots)
	if own := certificates(expiryClient, resource, client); len(own) > 0 {
		// The leaf is the client's own certificate; the rest of the chain is its authority's.
		out = append(out, own[0])
	}
	for _, x := range secrets {
		if !x.Expire.IsZero() && !succeeded(x, secrets) {
			out = append(out, expiry{kind: expirySecret, resource: resource, subject: x.ID, at: x.Expire})
		}
	}
	return out
}

// succeeded reports whether another secret of the same kind signs on after one has ended, as in a rotation: there is nothing to do.
func succeeded(x recipient.SigningSecret, all []recipient.SigningSecret) bool {
	return slices.ContainsFunc(all, func(y recipient.SigningSecret) bool {
		return y.Ed25519 == x.Ed25519 && (y.Expire.IsZero() || y.Expire.After(x.Expire))
	})
}

// certificates returns when the certificates of a PEM text expire; none if it can't be read.
func certificates(kind, resource, text string) []expiry {
	if text == "" {
		return nil
	}
	chain, err := credential.ParseCertificates(text)
	if err != nil {
		return nil
	}
	out := make([]expiry, 0, len(chain))
	for _, c := range chain {
		out = append(out, expiry{kind: kind, resource: resource, subject: c.Subject.String(), at: c.NotAfter})
	}
	return out
}

// expiries returns all that expires, the soonest first. seen are the certificates that others presented.
func (s *Reporter) expiries(recipients []*recipient.Recipient, seen []expiry) []expiry {
	all := append(s.expiring.ofRecipients(recipients), seen...)
	settings := s.Config.Settings()
	all = append(all, certificates(expiryCA, "settings/smtp", settings.SMTP.CAPEM)...)
	for _, t := range settings.Tokens {
		if !t.Expire.IsZero() {
			all = append(all, expiry{kind: expiryToken, resource: "tokens/" + t.ID, subject: t.Name, at: t.Expire})
		}
	}
	for id, a := range settings.Appliances {
		if !a.TokenExpire.IsZero() {
			all = append(all, expiry{kind: expiryAppliance, resource: "appliances/" + id, subject: a.DisplayName, at: a.TokenExpire})
		}
	}
	slices.SortFunc(all, func(a, b expiry) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.resource, b.resource), cmp.Compare(a.kind, b.kind), cmp.Compare(a.subject, b.subject))
	})
	return all[:min(len(all), maxExpiries)]
}

func expiryMessage(e expiry) *outboundv1.Expiry {
	return &outboundv1.Expiry{Kind: e.kind, Resource: e.resource, Subject: protofield.Text(e.subject), ExpireTime: timestamppb.New(e.at)}
}

// expiryNotices returns notices on what has expired or expires soon.
func expiryNotices(all []expiry, now time.Time) []string {
	var out []string
	more := 0
	var tokens []expiry
	for _, e := range all {
		if e.at.Sub(now) > cmp.Or(e.warn, warnBefore) {
			continue
		}
		if e.kind == expiryAppliance {
			tokens = append(tokens, e)
			continue
		}
		if len(out) == maxExpiryNotices {
			more++
			continue
		}
		verb := "expires"
		if e.at.Before(now) {
			verb = "expired"
		}
		name, remedy := expiryWords(e.kind)
		out = append(out, fmt.Sprintf("%s of %s (%s) %s on %s: %s.", name, e.resource, protofield.Text(e.subject), verb,
			e.at.UTC().Format(time.DateOnly), remedy))
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("%d more certificates, secrets and tokens have expired or expire within 30 days: see the list of "+
			"expiries.", more))
	}
	if len(tokens) > 0 {
		out = append(out, applianceTokensNotice(tokens))
	}
	return out
}

// applianceTokensNotice is one notice about the tokens of all appliances, the soonest first. There may be many, and an appliance that
// publishes over NATS does not use its own.
func applianceTokensNotice(tokens []expiry) string {
	first, what := tokens[0], "The HTTP token of "+tokens[0].resource+" expires"
	if len(tokens) > 1 {
		what = fmt.Sprintf("The HTTP tokens of %d appliances expire, the first of %s,", len(tokens), first.resource)
	}
	return fmt.Sprintf("%s on %s: events posted with it are refused then. Replace it with `outbound appliances rotate ID --token-only "+
		"--overlap 24h`, or let it never expire with `outbound appliances set ID --token-never-expires`.", what,
		first.at.UTC().Format(time.DateOnly))
}

// expiryWords returns what a kind is called in a sentence, and what to do when it expires.
func expiryWords(kind string) (name, remedy string) {
	switch kind {
	case expiryCA:
		return "The CA certificate", "upload its successor"
	case expiryClient:
		return "The client certificate", "upload a new one with its key"
	case expiryReceiver:
		return "The receiver's certificate", "deliveries fail from then on, so ask whoever runs the receiver to renew it"
	case expiryRelay:
		return "The mail relay's certificate", "emails fail from then on, so ask whoever runs the relay to renew it"
	case expirySecret:
		return "The signing secret", "replace it with `outbound recipients rotate-secret`, or remove it"
	default:
		return "The API token", "create a new one for its users, then delete it"
	}
}
