//go:build !clockskew

package process

import "time"

// Clock is the host's wall clock. A binary built with the tag clockskew has one that is wrong, for tests.
func Clock() func() time.Time { return time.Now }

func clockVariables() []string { return nil }
