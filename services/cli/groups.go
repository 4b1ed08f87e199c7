package cli

import (
	"slices"

	"github.com/spf13/cobra"
)

// groups are the commands by what people do with them, as help lists them.
func groups() []struct {
	id, title string
	commands  []string
} {
	return []struct {
		id, title string
		commands  []string
	}{
		{"start", "Start and try:", []string{"run", "listen", "simulate"}},
		{"see", "See what happens:", []string{"status", "stats", "events", "deliveries", "replays", "audit", "verify", "prove",
			"pull"}},
		{"configure", "Configure:", []string{"recipients", "presets", "appliances", "settings", "event-types", "custom-fields", "macros", "apply",
			"export", "revisions"}},
		{"access", "Access:", []string{"context", "whoami", "users", "tokens", "certificates"}},
		{"operate", "Operate:", []string{"backup", "restore", "repair"}},
	}
}

// group sorts the commands into their groups. Those in none are listed last.
func group(root *cobra.Command) {
	for _, g := range groups() {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range root.Commands() {
			if slices.Contains(g.commands, c.Name()) {
				c.GroupID = g.id
			}
		}
	}
}

// callNoServer are the commands that call no server.
func callNoServer() []string {
	return []string{"run", "repair", "restore", "certificates", "man", "version", "completion"}
}

// topLevel is the name of the command under the root that a command belongs to.
func topLevel(cmd *cobra.Command) string {
	for cmd.HasParent() && cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}
	return cmd.Name()
}
