package revisions

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// backTo is what rolling back to the i-th revision would change. Of secrets it knows which were changed since, not their values.
func backTo(all []*outboundv1.Revision, i int) (*outboundv1.Revision, error) {
	is, err := fieldsOf(all[0])
	if err != nil {
		return nil, err
	}
	was, err := fieldsOf(all[i])
	if err != nil {
		return nil, err
	}
	out := &outboundv1.Revision{Resource: all[i].GetResource(), Action: "rolled back", RolledBackTo: all[i].GetRevision(),
		ResourceJson: all[i].GetResourceJson()}
	paths := maps.Clone(is)
	maps.Copy(paths, was)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if is[path] != was[path] {
			out.Changes = append(out.Changes, &outboundv1.Change{Path: path, Before: is[path], After: was[path]})
		}
	}
	secrets := map[string]bool{}
	for _, r := range all[:i] {
		for _, c := range r.GetChanges() {
			if isSecret(c) && !secrets[c.GetPath()] {
				secrets[c.GetPath()] = true
				out.Changes = append(out.Changes, &outboundv1.Change{Path: c.GetPath(), Before: "(secret)", After: "(secret from that revision)"})
			}
		}
	}
	return out, nil
}

// isSecret reports whether a change is one of a secret: the name of the field and what is shown in place of the value say so.
func isSecret(c *outboundv1.Change) bool {
	shown := []string{"", `"set"`, `"changed"`}
	if !slices.Contains(shown, c.GetBefore()) || !slices.Contains(shown, c.GetAfter()) {
		return false
	}
	name := c.GetPath()[strings.LastIndex(c.GetPath(), ".")+1:]
	return slices.Contains([]string{"password", "token", "value", "clientSecret", "refreshToken", "privateKeyPem", "secret"}, name)
}

// fieldsOf returns the values of a revision's resource by path; none if the revision is a deletion.
func fieldsOf(r *outboundv1.Revision) (map[string]string, error) {
	out := map[string]string{}
	if r.GetResourceJson() == "" {
		return out, nil
	}
	var tree any
	dec := json.NewDecoder(bytes.NewReader([]byte(r.GetResourceJson())))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		return nil, fmt.Errorf("read revision %d: %w", r.GetRevision(), err)
	}
	leaves(out, "", tree)
	return out, nil
}

// leaves collects values as JSON by their path. A list is one value.
func leaves(out map[string]string, path string, v any) {
	fields, nested := v.(map[string]any)
	if !nested {
		// What was read from JSON can be written as JSON.
		raw, _ := json.Marshal(v)
		out[path] = string(raw)
		return
	}
	for key, x := range fields {
		if key != "createTime" && key != "updateTime" {
			leaves(out, strings.TrimPrefix(path+"."+key, "."), x)
		}
	}
}
