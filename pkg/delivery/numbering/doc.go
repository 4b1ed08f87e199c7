// Package numbering gives each delivery of a recipient its number: 1 for the first event that the recipient selects by type and appliance,
// one more for each that follows in EVENTS.
//
// A number depends on EVENTS alone, so that all senders give the same without asking each other: Changes, which stand in EVENTS between
// the events, say from where on a recipient selects what, and a Counter that is given what EVENTS holds, in order, counts. What it has
// counted up to a sequence is a Checkpoint, from which another Counter goes on.
//
// The package has no I/O; pkg/bus/eventnumbers reads EVENTS and keeps checkpoints.
package numbering
