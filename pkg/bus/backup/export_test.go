package backup

import "io"

// Reblock is reblock, for tests.
func Reblock(to io.Writer, snapshot io.Reader) error { return reblock(to, snapshot) }
