package settings

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/naming"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

const (
	kindCustomField = "custom field"
	// maxCustomFields is how many custom fields sessions may have, as on the appliance.
	maxCustomFields = 30
	// maxCodeName is the longest code name the contract allows.
	maxCodeName = 64
)

// CustomFields are the custom fields of sessions. They share one key, so that their number and the uniqueness of their names are kept by
// the compare-and-set that changes them.
type CustomFields struct {
	parts *store.Parts
	rules *rpc.Validator
}

// CodeNames returns the code names of all custom fields.
func (s *CustomFields) CodeNames(ctx context.Context) ([]string, error) {
	fields, err := s.customFields(ctx)
	return codeNames(fields), err
}

// customFields returns all custom fields by code name.
func (s *CustomFields) customFields(ctx context.Context) ([]*outboundv1.CustomField, error) {
	p, _, err := s.parts.Get(ctx, store.KeyCustomFields)
	return p.GetCustomFields(), err
}

func codeNames(fields []*outboundv1.CustomField) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.GetCodeName()
	}
	return out
}

func findField(fields []*outboundv1.CustomField, code string) (int, error) {
	i := slices.IndexFunc(fields, func(f *outboundv1.CustomField) bool { return f.GetCodeName() == code })
	if i < 0 {
		return i, rpc.NotFound(kindCustomField, code)
	}
	return i, nil
}

// newEtag returns an etag for a resource that shares its key with others.
func newEtag() string { return strings.ToLower(rand.Text()[:13]) }

// ListCustomFields implements outboundv1.SettingsServiceServer.
func (s *CustomFields) ListCustomFields(
	ctx context.Context, _ *outboundv1.ListCustomFieldsRequest,
) (*outboundv1.ListCustomFieldsResponse, error) {
	fields, err := s.customFields(ctx)
	if err != nil {
		return nil, err
	}
	return &outboundv1.ListCustomFieldsResponse{CustomFields: fields}, nil
}

// GetCustomField implements outboundv1.SettingsServiceServer.
func (s *CustomFields) GetCustomField(ctx context.Context, q *outboundv1.GetCustomFieldRequest) (*outboundv1.CustomField, error) {
	fields, err := s.customFields(ctx)
	if err != nil {
		return nil, err
	}
	i, err := findField(fields, q.GetCodeName())
	if err != nil {
		return nil, err
	}
	return fields[i], nil
}

// CreateCustomField implements outboundv1.SettingsServiceServer.
func (s *CustomFields) CreateCustomField(ctx context.Context, q *outboundv1.CreateCustomFieldRequest) (*outboundv1.CustomField, error) {
	var made *outboundv1.CustomField
	_, _, err := s.parts.Change(ctx, store.KeyCustomFields, func(p *outboundv1.WatchSettingsResponse, _ uint64) error {
		made = &outboundv1.CustomField{}
		if in := q.GetCustomField(); in != nil {
			made, _ = proto.Clone(in).(*outboundv1.CustomField)
		}
		made.DisplayName, made.Etag = strings.TrimSpace(made.GetDisplayName()), newEtag()
		var v validation.Violations
		if err := v.Rules(s.rules, made, "displayName"); err != nil {
			return err
		}
		if err := v.Err(); err != nil {
			return err
		}
		if len(p.GetCustomFields()) >= maxCustomFields {
			return rpc.FailedPrecondition("TOO_MANY",
				fmt.Sprintf("there are already %d custom fields, which is the limit: delete one first", maxCustomFields))
		}
		if made.GetCodeName() == "" {
			made.CodeName = freeCodeName(p.GetCustomFields(), made.GetDisplayName())
		}
		if err := checkFieldTaken(p.GetCustomFields(), made); err != nil {
			return err
		}
		p.CustomFields = append(p.CustomFields, made)
		slices.SortFunc(p.CustomFields, func(a, b *outboundv1.CustomField) int { return strings.Compare(a.GetCodeName(), b.GetCodeName()) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// checkFieldTaken returns an error if another field has the code name or display name.
func checkFieldTaken(fields []*outboundv1.CustomField, f *outboundv1.CustomField) error {
	for _, other := range fields {
		if other == f {
			continue
		}
		if other.GetCodeName() == f.GetCodeName() {
			return rpc.AlreadyExists("codeName", f.GetCodeName(), "choose another code name, or update the existing field")
		}
		if naming.Fold(other.GetDisplayName()) == naming.Fold(f.GetDisplayName()) {
			return rpc.AlreadyExists("displayName", f.GetDisplayName(), "choose another name")
		}
	}
	return nil
}

// freeCodeName returns a code name, made of a display name, that no field has.
func freeCodeName(fields []*outboundv1.CustomField, name string) string {
	stem := naming.Slug(name, '_')
	if stem == "" || stem[0] < 'a' {
		stem = "field_" + stem
	}
	stem = naming.Truncate(stem, maxCodeName)
	code := stem
	for n := 2; slices.Contains(codeNames(fields), code); n++ {
		suffix := "_" + strconv.Itoa(n)
		code = naming.Truncate(stem, maxCodeName-len(suffix)) + suffix
	}
	return code
}

// UpdateCustomField implements outboundv1.SettingsServiceServer.
func (s *CustomFields) UpdateCustomField(ctx context.Context, q *outboundv1.UpdateCustomFieldRequest) (*outboundv1.CustomField, error) {
	in := q.GetCustomField()
	var changed *outboundv1.CustomField
	_, _, err := s.parts.Change(ctx, store.KeyCustomFields, func(p *outboundv1.WatchSettingsResponse, _ uint64) error {
		i, err := findField(p.GetCustomFields(), in.GetCodeName())
		if err != nil {
			return err
		}
		changed = p.GetCustomFields()[i]
		if in.GetEtag() != "" && in.GetEtag() != changed.GetEtag() {
			return rpc.Aborted(kindCustomField, in.GetCodeName())
		}
		was := changed.GetDisplayName()
		v := validation.Merge(changed, in, q.GetUpdateMask())
		if changed.DisplayName = strings.TrimSpace(changed.GetDisplayName()); changed.GetDisplayName() != was {
			changed.Etag = newEtag()
		}
		if err := v.Rules(s.rules, changed, "displayName"); err != nil {
			return err
		}
		if err := v.Err(); err != nil {
			return err
		}
		return checkFieldTaken(p.GetCustomFields(), changed)
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// DeleteCustomField implements outboundv1.SettingsServiceServer.
func (s *CustomFields) DeleteCustomField(ctx context.Context, q *outboundv1.DeleteCustomFieldRequest) (*emptypb.Empty, error) {
	_, _, err := s.parts.Change(ctx, store.KeyCustomFields, func(p *outboundv1.WatchSettingsResponse, _ uint64) error {
		i, err := findField(p.GetCustomFields(), q.GetCodeName())
		if err != nil {
			return err
		}
		if q.GetEtag() != "" && q.GetEtag() != p.GetCustomFields()[i].GetEtag() {
			return rpc.Aborted(kindCustomField, q.GetCodeName())
		}
		p.CustomFields = slices.Delete(p.GetCustomFields(), i, i+1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}
