// Package ledger runs Outbound under faults and checks that its books balance: every event that was accepted comes to exactly one final
// state at every recipient that matches it, and what the receivers wrote down agrees with that.
//
// A run is a sequence of rounds. Each round starts a system in one shape, publishes events to recipients of many kinds, and plays
// faults, one at a time or two at once. Publisher, HTTP receivers and SMTP sink append to journals, one line each, before they send or
// answer. At the end the round waits until nothing is left to do, asks Outbound for the final state of every delivery, and Check joins
// all of it.
//
// One seed decides the events, the order and length of faults, and how each receiver answers each try of each event. Interleavings are
// the machine's: a seed repeats the plan, not the scheduling.
//
//	plan.go, events.go, recipients.go       what a seed decides
//	faults.go, faults_*.go                  the table of faults
//	publisher.go, receiver.go, mail.go      those who write journals (journal.go)
//	world.go, round.go                      a running system, and what happens to it
//	final.go, check.go, report.go           the joining
//
// To add a fault, add an entry to the table in faults.go.
package ledger
