package wire

// Undecided is undecided, for tests.
func Undecided(lookup error) error { return undecided(lookup) }

// Temporary is temporary, for tests.
func Temporary(err error) bool { return temporary(err) }
