// Package cli is the command line of Outbound. It calls the REST API. The commands are in internal/, a package for each noun; this
// package joins them and holds the commands of the settings and of the status.
//
// Below internal, the groups of commands:
//
//	access, audits, backups, contexts, deliveries, events, keys, listen, recipients, revisions, simulate
//	declare      apply and export: configuration files
//
// and what they share:
//
//	client       calls of the API; where the server and the token come from
//	command      the environment of a command, flags, arguments, completions, questions
//	input        files, standard input, secrets, documents in YAML or JSON
//	output       tables, YAML and JSON, colors, progress
//	resource     named fields as messages of the API and field masks
//	exit         exit codes, and the errors that choose one
//	clitest      a server of fakes, for tests
//
// A new command is a function that returns a *cobra.Command in the package of its noun, an example (examples.go), a group for a new noun
// (groups.go), and a place in docs/cli.md: tests fail without.
package cli
