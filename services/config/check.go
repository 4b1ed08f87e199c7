package config

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// checkInput are what a recipient is judged by beside itself.
type checkInput struct {
	now    time.Time
	policy recipient.URLPolicy
	// types is the catalogue, in its order.
	types []event.Type
	// custom are the code names of the custom fields.
	custom []string
	// old is what was stored before; nil at create.
	old *outboundv1.StoredRecipient
}

// checkRecipient notes everything that is wrong with a recipient, defaults filled in, beyond the rules of the contract.
func checkRecipient(v *violations, r *outboundv1.Recipient, f checkInput) {
	if strings.TrimSpace(r.GetDisplayName()) == "" {
		v.add("displayName", reasonMissing, "is empty: set a name for the recipient")
	}
	checkTypes(v, r, f)
	before := f.old.GetRecipient()
	switch {
	case before.GetHttp() != nil && r.GetEmail() != nil:
		v.add("email", reasonImmutable, "an HTTP recipient can't become an email recipient: create another one and delete this")
	case before.GetEmail() != nil && r.GetHttp() != nil:
		v.add("http", reasonImmutable, "an email recipient can't become an HTTP recipient: create another one and delete this")
	case r.GetHttp() != nil:
		checkHTTP(v, r, f)
	case r.GetEmail() != nil:
		checkEmail(v, r, f)
	}
}

func checkTypes(v *violations, r *outboundv1.Recipient, f checkInput) {
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
			v.add(field, reasonUnknownType, event.UnknownType(id, ids).Description)
		case r.GetEmail() != nil && !t.Email:
			v.add(field, reasonNotByEmail, fmt.Sprintf("%s can't be sent by email: GET /v1/event-types says which types can", id))
		}
	}
}

func checkHTTP(v *violations, r *outboundv1.Recipient, f checkInput) {
	checkBody(v, r, f)
	h, before := r.GetHttp(), f.old.GetRecipient().GetHttp()
	// What was valid when it was stored must not keep an operator from disabling the recipient.
	if r.GetEnabled() || h.GetUrl() != before.GetUrl() {
		v.check("http.url", recipient.CheckURL(h.GetUrl(), f.policy))
	}
	if pem := h.GetCaCertificatePem(); pem != "" && pem != before.GetCaCertificatePem() {
		v.check("http.caCertificatePem", recipient.CheckCAPEM(pem, f.now))
	}
	checkTimes(v, h)
	seen := map[string]bool{}
	for name := range h.GetHeaders() {
		field := fmt.Sprintf("http.headers[%q]", name)
		v.check(field, recipient.CheckHeader(name))
		if lower := strings.ToLower(name); seen[lower] {
			v.add(field, reasonDuplicate, "is given twice: header names are case-insensitive")
		} else {
			seen[lower] = true
		}
	}
	checkAuth(v, r, f, seen)
	checkSigning(v, h, f)
	checkAddresses(v, "http.contact.addresses", h.GetContact().GetAddresses())
}

func checkTimes(v *violations, h *outboundv1.HttpRecipient) {
	if longer(h.GetRetryInterval(), h.GetRetryDuration()) {
		v.add("http.retryInterval", reasonInvalid, "must not be longer than retryDuration")
	}
	if d := h.GetTimeout(); d.AsDuration() >= bus.AckWait {
		v.add("http.timeout", reasonInvalid, fmt.Sprintf("must be shorter than %s", bus.AckWait))
	}
	if b := h.GetBackoff(); b != nil {
		if b.GetMultiplier() < 1 {
			v.add("http.backoff.multiplier", reasonInvalid, "must be 1 to 10")
		}
		if longer(h.GetRetryInterval(), b.GetCeiling()) {
			v.add("http.backoff.ceiling", reasonInvalid, "must not be shorter than retryInterval")
		}
	}
}

func longer(a, b *durationpb.Duration) bool { return a.AsDuration() > b.AsDuration() }

func checkAuth(v *violations, r *outboundv1.Recipient, f checkInput, headers map[string]bool) {
	const missing = "is empty and none is stored: set it"
	header, h, sealed := "", r.GetHttp(), f.old.GetSealedSecrets()
	switch k := h.GetAuth().GetKind().(type) {
	case *outboundv1.HttpAuth_Basic:
		header = "Authorization"
	case *outboundv1.HttpAuth_Bearer:
		header = "Authorization"
		if k.Bearer.GetToken() == "" && sealed[recipient.SecretBearerToken] == nil {
			v.add("http.auth.bearer.token", reasonMissing, missing)
		}
	case *outboundv1.HttpAuth_ApiKey:
		header = k.ApiKey.GetHeader()
		v.check("http.auth.apiKey.header", recipient.CheckAuthHeader(header))
		if k.ApiKey.GetValue() == "" && sealed[recipient.SecretAPIKeyValue] == nil {
			v.add("http.auth.apiKey.value", reasonMissing, missing)
		}
	case *outboundv1.HttpAuth_Oauth2:
		header = "Authorization"
		checkOAuth2(v, k.Oauth2, r.GetEnabled(), f)
	case *outboundv1.HttpAuth_ClientCertificate:
		checkClientCertificate(v, h, f)
	}
	if header != "" && headers[strings.ToLower(header)] {
		v.add("http.auth", reasonDuplicate, fmt.Sprintf("sets the header %s, which http.headers also has: remove it there", header))
	}
}

// checkAddresses notes addresses that are none, and those that are there twice.
func checkAddresses(v *violations, field string, addresses []string) {
	seen := map[string]bool{}
	for i, a := range addresses {
		at := fmt.Sprintf("%s[%d]", field, i)
		v.check(at, recipient.CheckAddress(a))
		if same := recipient.SameAddress(a); seen[same] {
			v.add(at, reasonDuplicate, "is given twice")
		} else {
			seen[same] = true
		}
	}
}

// warnings says what an operator should know about settings although they are valid.
func warnings(r *outboundv1.Recipient, now time.Time) []string {
	h := r.GetHttp()
	if h == nil {
		return mailWarnings(r)
	}
	var out []string
	plain := strings.HasPrefix(strings.ToLower(h.GetUrl()), "http:")
	if plain {
		out = append(out, "http.url uses http: events are sent unencrypted.")
	}
	if plain && h.GetAuth().GetKind() != nil {
		out = append(out, "http.auth is sent unencrypted because http.url uses http.")
	}
	if pem := h.GetCaCertificatePem(); pem != "" && plain {
		out = append(out, "http.caCertificatePem is not used because http.url uses http.")
	} else if pem != "" {
		if err := recipient.CheckCAPEM(pem, now); err != nil {
			out = append(out, "http.caCertificatePem: "+err.Error()+".")
		}
	}
	if w := clientCertificateWarning(h, now); w != "" {
		out = append(out, w)
	}
	if w := bodyWarning(h); w != "" {
		out = append(out, w)
	}
	if n := len(h.GetSigningSecrets()); n > 0 && expired(h.GetSigningSecrets(), now) == n {
		out = append(out, "http.signingSecrets have all expired: requests are not signed.")
	}
	return out
}

func expired(secrets []*outboundv1.SigningSecret, now time.Time) int {
	n := 0
	for _, p := range secrets {
		if p.GetExpireTime() != nil && p.GetExpireTime().AsTime().Before(now) {
			n++
		}
	}
	return n
}
