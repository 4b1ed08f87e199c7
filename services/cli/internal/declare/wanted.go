package declare

import (
	"fmt"
	"maps"
	"slices"

	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// declaration is one resource of a file.
type declaration struct {
	tree resource.Tree
	// where the resource is declared: the file, the document and the key.
	where string
}

// wanted are the declarations of all files, in the order in which they are applied: recipients need the event types.
type wanted struct {
	eventTypes, customFields, appliances, recipients []declaration
	smtp, email                                      []declaration
	// declared are the keys in the files, including those of empty lists.
	declared []string
	// nothing is where a list has no value: neither entries nor `[]`.
	nothing []string
	// malformed are the faults of what could not be read.
	malformed []error
}

func (w *wanted) read(file string, docs []resource.Tree) {
	for i, doc := range docs {
		for _, key := range slices.Sorted(maps.Keys(doc)) {
			where := fmt.Sprintf("%s, document %d, %s", file, i+1, key)
			switch key {
			case "eventTypes":
				w.addList(&w.eventTypes, doc[key], where)
			case "customFields":
				w.addList(&w.customFields, doc[key], where)
			case "appliances":
				w.addList(&w.appliances, doc[key], where)
			case "recipients":
				w.addList(&w.recipients, doc[key], where)
			case "smtp":
				w.addOne(&w.smtp, doc[key], where)
			case "email":
				w.addOne(&w.email, doc[key], where)
			default:
				w.refuse(exit.Usagef("%s: unknown key: use eventTypes, customFields, smtp, email, appliances or recipients", where))
			}
			w.declared = append(w.declared, key)
		}
	}
}

// refuseEmptied refuses to delete all resources of a kind because a list has no value: a template that rendered nothing, or entries that
// are commented out, look the same. An empty list says it on purpose.
func (w *wanted) refuseEmptied() {
	for _, where := range w.nothing {
		w.refuse(exit.Usagef("%s: has no value, and --prune would delete all that is stored of it: write [] if that is meant, "+
			"or remove the key", where))
	}
}

func (w *wanted) refuse(err error) { w.malformed = append(w.malformed, err) }

func (w *wanted) addList(to *[]declaration, v any, where string) {
	l, ok := v.([]any)
	if v == nil {
		w.nothing = append(w.nothing, where)
	} else if !ok {
		w.refuse(exit.Usagef("%s: expected a list", where))
	}
	for i, x := range l {
		w.addOne(to, x, fmt.Sprintf("%s[%d]", where, i))
	}
}

func (w *wanted) addOne(to *[]declaration, v any, where string) {
	t, ok := v.(resource.Tree)
	if !ok {
		w.refuse(exit.Usagef("%s: expected a mapping", where))
		return
	}
	*to = append(*to, declaration{tree: t, where: where})
}
