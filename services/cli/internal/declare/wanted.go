package declare

import (
	"fmt"
	"maps"
	"slices"

	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// declaration is what a file says of one resource.
type declaration struct {
	tree resource.Tree
	// where it stands: the file, the document in it, and the key.
	where string
}

// wanted is what the documents of a file ask for, in the order in which it is done: recipients need the types.
type wanted struct {
	eventTypes, customFields, appliances, recipients []declaration
	smtp, email                                      []declaration
	// declared are the keys that stand in the files, those of empty lists too.
	declared []string
	// misshapen is all that could not be read.
	misshapen []error
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
				w.refuse(exit.Usagef("%s: there is no such key: use eventTypes, customFields, smtp, email, appliances or recipients", where))
			}
			w.declared = append(w.declared, key)
		}
	}
}

func (w *wanted) refuse(err error) { w.misshapen = append(w.misshapen, err) }

func (w *wanted) addList(to *[]declaration, v any, where string) {
	l, ok := v.([]any)
	if !ok && v != nil {
		w.refuse(exit.Usagef("%s: a list was expected", where))
	}
	for i, x := range l {
		w.addOne(to, x, fmt.Sprintf("%s[%d]", where, i))
	}
}

func (w *wanted) addOne(to *[]declaration, v any, where string) {
	t, ok := v.(resource.Tree)
	if !ok {
		w.refuse(exit.Usagef("%s: names and values were expected", where))
		return
	}
	*to = append(*to, declaration{tree: t, where: where})
}
