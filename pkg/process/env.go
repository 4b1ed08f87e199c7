package process

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/outbound-events/outbound/pkg/spelling"
)

// prefix begins the variables of options; optionsVariable names the options file.
const (
	prefix          = "OUTBOUND_"
	optionsVariable = prefix + "OPTIONS"
)

// cliVariables belong to the command line and are no options of a process.
func cliVariables() []string {
	return append([]string{optionsVariable, prefix + "URL", prefix + "TOKEN", prefix + "CA_FILE", prefix + "CA_FINGERPRINT"},
		clockVariables()...)
}

// loadEnv sets the options whose variables are in env. A variable that begins as ours and is none of ours is a fault.
func (l *loader) loadEnv(dst reflect.Value, env []string) {
	known := map[string]leaf{}
	for _, x := range leaves(dst, "") {
		known[variable(x.path)] = x
	}
	names := make([]string, 0, len(known))
	for n := range known {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, line := range slices.Sorted(slices.Values(env)) {
		name, text, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, prefix) || slices.Contains(cliVariables(), name) {
			continue
		}
		x, ok := known[name]
		if !ok && isServiceLink(name, text) {
			continue
		}
		if !ok {
			l.faults = append(l.faults, Fault{Where: name, Problem: "unknown option in the environment: " + remedy(name, names)})
			continue
		}
		if err := setText(x.value, text); err != nil {
			l.faults = append(l.faults, Fault{Where: name, Path: x.path, Problem: err.Error()})
		}
	}
}

// leaf is an option that has a single value or a list of them, and thus a variable.
type leaf struct {
	path  string
	value reflect.Value
}

// leaves lists the options of a section. Lists of sections and maps are for files alone.
func leaves(section reflect.Value, path string) []leaf {
	var all []leaf
	fields := sectionFields(section)
	for _, name := range keys(fields) {
		f, p := fields[name], join(path, name)
		switch {
		case isSection(f.Type()):
			all = append(all, leaves(allocated(f), p)...)
		case f.Kind() == reflect.Map, isList(f.Type()) && isSection(f.Type().Elem()):
		default:
			all = append(all, leaf{path: p, value: f})
		}
	}
	return all
}

// variable is the environment's name of an option: nats.passwordFile is OUTBOUND_NATS_PASSWORD_FILE.
func variable(path string) string {
	var b strings.Builder
	b.WriteString(prefix)
	before := '.'
	for _, r := range path {
		switch {
		case r == '.' || r == '-':
			b.WriteByte('_')
		case unicode.IsUpper(r) && before != '.' && !unicode.IsUpper(before):
			b.WriteByte('_')
			b.WriteRune(r)
		default:
			b.WriteRune(unicode.ToUpper(r))
		}
		before = r
	}
	return b.String()
}

// remedy suggests the nearest known name, or lists all of them.
func remedy(name string, known []string) string {
	best, distance := "", len(name)/3+2
	for _, k := range known {
		if d := spelling.Distance(strings.ToLower(name), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("did you mean %s?", best)
	case len(known) == 0:
		return "there are no options"
	default:
		return "known options: " + strings.Join(known, ", ")
	}
}
