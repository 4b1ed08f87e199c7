package revisions

import (
	"context"
	"fmt"
	"strings"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/services/config/internal/naming"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// The prefixes and names of resources that have revisions.
const (
	ofRecipients = "recipients/"
	ofTypes      = "event-types/"
	ofAppliances = "appliances/"
	ofUsers      = "users/"
	ofTokens     = "tokens/"
	ofSMTP       = "settings/smtp"
	ofEmail      = "settings/email"
	ofFields     = "custom-fields"
	ofBackups    = "backups"
)

// settingsKeys returns the prefixes of resources in the bucket of settings, with the prefixes of their keys.
func settingsKeys() []struct{ resource, key string } {
	return []struct{ resource, key string }{
		{ofTypes, store.PrefixType}, {ofAppliances, store.PrefixAppliance}, {ofUsers, store.PrefixUser}, {ofTokens, store.PrefixToken},
	}
}

// location is the key that holds a resource.
type location struct {
	bucket   *store.KV
	key      string
	resource string
}

// locate returns the location of a resource.
func (s *Revisions) locate(resource string) (location, error) {
	p := location{bucket: s.settingsKV, resource: resource}
	switch resource {
	case ofSMTP:
		p.key = store.KeySMTP
		return p, nil
	case ofEmail:
		p.key = store.KeyEmail
		return p, nil
	case ofFields:
		p.key = store.KeyCustomFields
		return p, nil
	case ofBackups:
		p.key = store.KeyBackups
		return p, nil
	}
	if id, ok := strings.CutPrefix(resource, ofRecipients); ok && naming.SafeID(id) {
		p.bucket, p.key = s.recipientsKV, store.PrefixRecipient+id
		return p, nil
	}
	for _, k := range settingsKeys() {
		if id, ok := strings.CutPrefix(resource, k.resource); ok && naming.SafeID(id) {
			p.key = k.key + id
			return p, nil
		}
	}
	return p, rpc.InvalidArgument(rpc.Violation{Field: "resource", Reason: validation.Invalid,
		Description: fmt.Sprintf("%q is not a resource: use recipients/ID, event-types/ID, appliances/ID, users/NAME, tokens/ID, "+
			"settings/smtp, settings/email, custom-fields or backups", resource)})
}

// resourceOf returns the resource of a key; false if the key holds none.
func resourceOf(b *store.KV, key string) (string, bool) {
	if b.Name() == bus.BucketRecipients {
		id, ok := strings.CutPrefix(key, store.PrefixRecipient)
		return ofRecipients + id, ok
	}
	switch key {
	case store.KeySMTP:
		return ofSMTP, true
	case store.KeyEmail:
		return ofEmail, true
	case store.KeyCustomFields:
		return ofFields, true
	case store.KeyBackups:
		return ofBackups, true
	}
	for _, k := range settingsKeys() {
		if id, ok := strings.CutPrefix(key, k.key); ok {
			return k.resource + id, true
		}
	}
	return "", false
}

// mayRead reports whether a caller may see a resource's revisions: whoever may see the resource.
func mayRead(ctx context.Context, resource string) bool {
	if !strings.HasPrefix(resource, ofUsers) && !strings.HasPrefix(resource, ofTokens) {
		return true
	}
	p, ok := rpc.PrincipalFrom(ctx)
	return ok && p.Role == rpc.RoleAdmin
}
