package command

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/outbound-events/outbound/services/cli/internal/output"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// duration is the value of a flag. Help shows it as it is written, and nothing for a flag without a default.
type duration struct {
	of    *time.Duration
	given bool
}

// String implements pflag.Value.
func (d *duration) String() string {
	if d.of == nil || *d.of == 0 && !d.given {
		return ""
	}
	return output.Duration(*d.of)
}

// Set implements pflag.Value.
func (d *duration) Set(text string) error {
	v, err := resource.ParseDuration(text)
	if err == nil {
		*d.of, d.given = v, true
	}
	return err
}

// Type implements pflag.Value.
func (*duration) Type() string { return "duration" }

// DurationVar defines a flag that takes a duration as resource.ParseDuration reads it. Its default is the value that it has.
func DurationVar(f *pflag.FlagSet, of *time.Duration, name, help string) {
	f.Var(&duration{of: of}, name, help)
}
