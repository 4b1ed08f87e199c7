package process

import (
	"errors"
	"fmt"
	"strings"
)

// Fault is one mistake in options.
type Fault struct {
	// Where is the file and line, or the name of an environment variable. Empty if found by Validate.
	Where string
	// Path of the option, e.g. nats.url. Empty for the whole.
	Path string
	// Problem says what is wrong and what to do.
	Problem string
}

// String is the fault on one line.
func (f Fault) String() string {
	parts := make([]string, 0, 3)
	for _, p := range []string{f.Where, f.Path, f.Problem} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ": ")
}

// Faults gathers every mistake in options, so that a Validate can report all at once:
//
//	var f process.Faults
//	if o.Workers < 1 {
//		f.Add("workers", "is %d: give at least 1", o.Workers)
//	}
//	f.Within("nats", o.NATS.Validate())
//	return f.Err()
type Faults []Fault

// Add notes a fault of the option at path.
func (f *Faults) Add(path, format string, args ...any) {
	*f = append(*f, Fault{Path: path, Problem: fmt.Sprintf(format, args...)})
}

// Within notes the faults of the options below path; nil adds nothing.
func (f *Faults) Within(path string, err error) {
	if err == nil {
		return
	}
	var inner Faults
	if !errors.As(err, &inner) {
		f.Add(path, "%s", err.Error())
		return
	}
	for _, x := range inner {
		x.Path = join(path, x.Path)
		*f = append(*f, x)
	}
}

// Err is nil without faults, else the faults.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// Error is the fault on one line, or several on a line each.
func (f Faults) Error() string {
	if len(f) == 1 {
		return f[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d errors in the options", len(f))
	for _, x := range f {
		b.WriteString("\n  " + x.String())
	}
	return b.String()
}

func join(prefix, name string) string {
	switch {
	case prefix == "":
		return name
	case name == "":
		return prefix
	default:
		return prefix + "." + name
	}
}
