package history

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// The kinds of what ends.
const (
	endingCA     = "ca_certificate"
	endingClient = "client_certificate"
	endingSecret = "signing_secret" // #nosec G101 -- a word, no secret
	endingToken  = "api_token"      // #nosec G101 -- a word, no secret
)

const (
	// warnedBefore is how long before its end something is told of.
	warnedBefore = 30 * 24 * time.Hour
	// maxEndings is how many are listed, maxEndingNotices how many have a notice of their own.
	maxEndings       = 500
	maxEndingNotices = 5
)

// ending is something that ends.
type ending struct {
	kind, resource, subject string
	at                      time.Time
}

// endings remembers what of each recipient ends, so that certificates are read once.
type endings struct {
	mu    sync.Mutex
	known map[string]knownEndings
}

type knownEndings struct {
	start, revision uint64
	list            []ending
}

func (e *endings) ofRecipients(recipients []*recipient.Recipient) []ending {
	e.mu.Lock()
	defer e.mu.Unlock()
	still := make(map[string]knownEndings, len(recipients))
	var out []ending
	for _, r := range recipients {
		k, ok := e.known[r.ID]
		if !ok || k.start != r.StartSequence || k.revision != r.Revision {
			k = knownEndings{start: r.StartSequence, revision: r.Revision, list: endingsOf(r)}
		}
		still[r.ID] = k
		out = append(out, k.list...)
	}
	e.known = still
	return out
}

// endingsOf is what of a recipient ends.
func endingsOf(r *recipient.Recipient) []ending {
	if r.HTTP == nil || r.Deleting {
		return nil
	}
	resource := "recipients/" + r.ID
	out := certificates(endingCA, resource, r.HTTP.CAPEM)
	if own := certificates(endingClient, resource, r.HTTP.Auth.ClientCertificatePEM); len(own) > 0 {
		// The leaf is what the receiver is shown; what comes behind it is its authority's.
		out = append(out, own[0])
	}
	for _, x := range r.HTTP.SigningSecrets {
		if !x.Expire.IsZero() {
			out = append(out, ending{kind: endingSecret, resource: resource, subject: x.ID, at: x.Expire})
		}
	}
	return out
}

// certificates are when those of a PEM text end; none if it can't be read.
func certificates(kind, resource, text string) []ending {
	if text == "" {
		return nil
	}
	chain, err := recipient.ParseCertificates(text)
	if err != nil {
		return nil
	}
	out := make([]ending, 0, len(chain))
	for _, c := range chain {
		out = append(out, ending{kind: kind, resource: resource, subject: c.Subject.String(), at: c.NotAfter})
	}
	return out
}

// expiries are all that ends, the soonest first.
func (s *Service) expiries(recipients []*recipient.Recipient) []ending {
	all := s.endings.ofRecipients(recipients)
	settings := s.Config.Settings()
	all = append(all, certificates(endingCA, "settings/smtp", settings.SMTP.CAPEM)...)
	for _, t := range settings.Tokens {
		if !t.Expire.IsZero() {
			all = append(all, ending{kind: endingToken, resource: "tokens/" + t.ID, subject: t.Name, at: t.Expire})
		}
	}
	slices.SortFunc(all, func(a, b ending) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.resource, b.resource), cmp.Compare(a.kind, b.kind), cmp.Compare(a.subject, b.subject))
	})
	return all[:min(len(all), maxEndings)]
}

func expiryOf(e ending) *outboundv1.Expiry {
	return &outboundv1.Expiry{Kind: e.kind, Resource: e.resource, Subject: toValid(e.subject), ExpireTime: timestamppb.New(e.at)}
}

// endingNotices tell of what has ended or soon will.
func endingNotices(all []ending, now time.Time) []string {
	var out []string
	more := 0
	for _, e := range all {
		if e.at.Sub(now) > warnedBefore {
			continue
		}
		if len(out) == maxEndingNotices {
			more++
			continue
		}
		verb := "expires"
		if e.at.Before(now) {
			verb = "expired"
		}
		name, remedy := wordsOf(e.kind)
		out = append(out, fmt.Sprintf("%s of %s (%s) %s on %s: %s.", name, e.resource, toValid(e.subject), verb, e.at.UTC().Format(time.DateOnly), remedy))
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("%d more certificates, secrets and tokens have expired or expire within 30 days: see the list of expiries.", more))
	}
	return out
}

// wordsOf are what a kind is called in a sentence, and what to do about its end.
func wordsOf(kind string) (name, remedy string) {
	switch kind {
	case endingCA:
		return "The CA certificate", "upload its successor"
	case endingClient:
		return "The client certificate", "upload a new one with its key"
	case endingSecret:
		return "The signing secret", "add a new one, then remove it"
	default:
		return "The API token", "create a new one for its users, then delete it"
	}
}
