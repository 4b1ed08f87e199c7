package recipients

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/filter"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/concealed"
	"github.com/outbound-events/outbound/services/config/internal/settings"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// Checker checks whether recipients are valid.
type Checker struct {
	rules    *rpc.Validator
	policy   recipient.URLPolicy
	filters  *filter.Compiler
	settings *settings.Settings
}

// NewChecker returns a checker of recipients under a policy.
func NewChecker(policy recipient.URLPolicy, rules *rpc.Validator, filters *filter.Compiler, s *settings.Settings) *Checker {
	return &Checker{rules: rules, policy: policy, filters: filters, settings: s}
}

// check sets the defaults of a recipient and returns everything that is wrong with it.
func (s *Checker) check(ctx context.Context, r *outboundv1.Recipient, old *outboundv1.StoredRecipient, now time.Time) error {
	fillRecipient(r)
	fillSigning(r.GetHttp(), old)
	var v validation.Violations
	if err := v.Rules(s.rules, r, "http"); err != nil {
		return err
	}
	types, err := s.settings.Catalogue(ctx)
	if err != nil {
		return store.AsStatus(ctx, err)
	}
	codes, err := s.settings.CodeNames(ctx)
	if err != nil {
		return store.AsStatus(ctx, err)
	}
	checkRecipient(&v, r, checkInput{now: now, policy: s.policy, types: types, custom: codes, old: old})
	checkFilter(&v, s.filters, r, old.GetRecipient())
	return v.Err()
}

// checkInput is what a recipient is checked against.
type checkInput struct {
	now    time.Time
	policy recipient.URLPolicy
	// types is the catalogue of event types, in its order.
	types []event.Type
	// custom are the code names of the custom fields.
	custom []string
	// old is the stored state. It is nil at create.
	old *outboundv1.StoredRecipient
}

// checkRecipient adds what is wrong with a recipient, beyond the rules of the contract. Defaults are set.
func checkRecipient(v *validation.Violations, r *outboundv1.Recipient, f checkInput) {
	if strings.TrimSpace(r.GetDisplayName()) == "" {
		v.Add("displayName", validation.Missing, "is empty: set a name for the recipient")
	}
	checkTypes(v, r, f)
	v.Maintenance(r.GetMaintenanceWindows(), f.now)
	if was, is := store.ChannelOf(f.old.GetRecipient()), store.ChannelOf(r); f.old != nil && r.GetChannel() != nil && was != is {
		v.Add(string(is), validation.Immutable,
			fmt.Sprintf("the channel of a recipient can't change from %s to %s: create another recipient and delete this one", was, is))
		return
	}
	switch {
	case r.GetHttp() != nil:
		checkHTTP(v, r, f)
	case r.GetEmail() != nil:
		checkEmail(v, r, f)
	}
}

func checkTypes(v *validation.Violations, r *outboundv1.Recipient, f checkInput) {
	known := make(map[string]event.Type, len(f.types))
	ids := make([]string, 0, len(f.types))
	for _, t := range f.types {
		known[t.ID] = t
		ids = append(ids, t.ID)
	}
	for i, id := range r.GetEventTypes() {
		field := fmt.Sprintf("eventTypes[%d]", i)
		t, ok := known[id]
		switch {
		case !ok:
			v.Add(field, validation.UnknownType, event.UnknownType(id, ids).Description)
		case !store.Describe(r).Takes(t):
			v.Add(field, validation.NotByEmail, fmt.Sprintf("%s can't be sent by email: see GET /v1/event-types for the types that can", id))
		}
	}
}

func checkHTTP(v *validation.Violations, r *outboundv1.Recipient, f checkInput) {
	checkBody(v, r, f)
	h, before := r.GetHttp(), f.old.GetRecipient().GetHttp()
	// A value that was valid when it was stored must not keep an operator from disabling the recipient.
	if r.GetEnabled() || h.GetUrl() != before.GetUrl() {
		v.Check("http.url", recipient.CheckURL(h.GetUrl(), f.policy))
	}
	if pem := h.GetCaCertificatePem(); pem != "" && pem != before.GetCaCertificatePem() {
		v.Check("http.caCertificatePem", recipient.CheckCAPEM(pem, f.now))
	}
	checkTimes(v, h)
	seen := map[string]bool{}
	for name := range h.GetHeaders() {
		field := fmt.Sprintf("http.headers[%q]", name)
		v.Check(field, recipient.CheckHeader(name))
		if lower := strings.ToLower(name); seen[lower] {
			v.Add(field, validation.Duplicate, "is given twice: header names are case-insensitive")
		} else {
			seen[lower] = true
		}
	}
	checkAuth(v, r, f, seen)
	checkSigning(v, h, f)
	checkMoved(v, h, f)
	concealed.Check(v, h, f.old)
	v.Addresses("http.contact.addresses", h.GetContact().GetAddresses())
}

func checkTimes(v *validation.Violations, h *outboundv1.HttpRecipient) {
	if validation.Longer(h.GetRetryInterval(), h.GetRetryDuration()) {
		v.Add("http.retryInterval", validation.Invalid, "must not be longer than retryDuration")
	}
	if d := h.GetTimeout(); d.AsDuration() >= bus.AckWait {
		v.Add("http.timeout", validation.Invalid, fmt.Sprintf("must be shorter than %s", bus.AckWait))
	}
	if b := h.GetBackoff(); b != nil {
		if b.GetMultiplier() < 1 {
			v.Add("http.backoff.multiplier", validation.Invalid, "must be 1 to 10")
		}
		if validation.Longer(h.GetRetryInterval(), b.GetCeiling()) {
			v.Add("http.backoff.ceiling", validation.Invalid, "must not be shorter than retryInterval")
		}
	}
}

func checkAuth(v *validation.Violations, r *outboundv1.Recipient, f checkInput, headers map[string]bool) {
	const missing = "is empty and none is stored: set it"
	header, h, sealed := "", r.GetHttp(), f.old.GetSealedSecrets()
	switch k := h.GetAuth().GetKind().(type) {
	case *outboundv1.HttpAuth_Basic:
		header = "Authorization"
	case *outboundv1.HttpAuth_Bearer:
		header = "Authorization"
		if k.Bearer.GetToken() == "" && sealed[credential.SecretBearerToken] == nil {
			v.Add("http.auth.bearer.token", validation.Missing, missing)
		}
	case *outboundv1.HttpAuth_ApiKey:
		header = k.ApiKey.GetHeader()
		v.Check("http.auth.apiKey.header", recipient.CheckAuthHeader(header))
		if k.ApiKey.GetValue() == "" && sealed[credential.SecretAPIKeyValue] == nil {
			v.Add("http.auth.apiKey.value", validation.Missing, missing)
		}
	case *outboundv1.HttpAuth_Oauth2:
		header = "Authorization"
		checkOAuth2(v, k.Oauth2, r.GetEnabled(), f)
	case *outboundv1.HttpAuth_ClientCertificate:
		checkClientCertificate(v, h, f)
	}
	if header != "" && headers[strings.ToLower(header)] {
		v.Add("http.auth", validation.Duplicate, fmt.Sprintf("sets the header %s, which http.headers also has: remove it there", header))
	}
}
