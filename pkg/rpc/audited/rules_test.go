package audited_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/rpc/audited"
	_ "github.com/outbound-events/outbound/proto/outbound/v1"
)

// TestEachMethodDeclaresItsAudit finds methods of the API without a row, and reads that are audited by mistake.
func TestEachMethodDeclaresItsAudit(t *testing.T) {
	rules := audited.Rules()
	methods, audited := 0, map[string]bool{}
	protoregistry.GlobalFiles.RangeFilesByPackage("outbound.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			service := f.Services().Get(i)
			for k := range service.Methods().Len() {
				methods++
				name := "/" + string(service.FullName()) + "/" + string(service.Methods().Get(k).Name())
				rule, ok := rules[name]
				if !ok {
					t.Errorf("%s has no row in audited.Rules: name its action, or add it to notAudited", name)
				}
				word := string(service.Methods().Get(k).Name())
				reads := strings.HasPrefix(word, "List") || strings.HasPrefix(word, "Get") || strings.HasPrefix(word, "Watch") ||
					strings.HasPrefix(word, "Preview") || strings.HasPrefix(word, "Tail")
				if reads != (rule.Action == "") && rule.Action != "" {
					t.Errorf("%s reads, and is audited as %s", name, rule.Action)
				}
				if rule.Action != "" && audited[rule.Action] {
					t.Errorf("%s has the action of another method: %s", name, rule.Action)
				}
				audited[rule.Action] = true
				changes := strings.HasPrefix(word, "Create") || strings.HasPrefix(word, "Update") || strings.HasPrefix(word, "Delete") ||
					strings.HasPrefix(word, "Purge") || strings.HasPrefix(word, "Cancel") || strings.HasPrefix(word, "Rotate")
				if changes && (rule.Action == "" || rule.GoesOn) {
					t.Errorf("%s changes something, and is not audited", name)
				}
			}
		}
		return true
	})
	if methods < 70 || len(audited) < 30 {
		t.Errorf("looked at %d methods, %d actions", methods, len(audited))
	}
	for name := range rules {
		if _, ok := rpc.Rules()[name]; !ok {
			t.Errorf("%s has a row and is no method", name)
		}
	}
}
