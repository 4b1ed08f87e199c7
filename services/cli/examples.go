package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// examples are the examples of plain commands, by path.
func examples() map[string]string {
	return map[string]string{
		"appliances add":       "outbound appliances add appliance-1 --name 'Support centre'",
		"appliances list":      "outbound appliances list",
		"appliances revoke":    "outbound appliances revoke appliance-1",
		"appliances rotate":    "outbound appliances rotate appliance-1 -o json",
		"custom-fields create": "outbound custom-fields create region --name Region",
		"custom-fields delete": "outbound custom-fields delete region",
		"custom-fields list":   "outbound custom-fields list",
		"custom-fields update": "outbound custom-fields update region --name 'Sales region'",
		"event-types create":   "outbound event-types create disk_full --name 'Disk full' --product Monitoring --email",
		"event-types delete":   "outbound event-types delete disk_full",
		"event-types get":      "outbound event-types get support_conference_end",
		"event-types list":     "outbound event-types list",
		"recipients delete":    "outbound recipients delete ticket-system",
		"recipients disable":   "outbound recipients disable ticket-system",
		"recipients enable":    "outbound recipients enable ticket-system",
		"recipients get":       "outbound recipients get ticket-system -o yaml",
		"recipients list":      "outbound recipients list",
		"recipients test":      "outbound recipients test ticket-system --event support_conference_end --set duration=60",
		"replays cancel":       "outbound replays cancel 01JD0V8Z3T9GQK",
		"replays get":          "outbound replays get 01JD0V8Z3T9GQK",
		"replays list":         "outbound replays list",
		"revisions list":       "outbound revisions list recipients/ticket-system",
		"revisions roll-back":  "outbound revisions roll-back recipients/ticket-system 7",
		"revisions show":       "outbound revisions show recipients/ticket-system 7",
		"settings email get":   "outbound settings email get",
		"settings email set":   "outbound settings email set --retry-duration 48h --time-zone Europe/London",
		"settings smtp get":    "outbound settings smtp get -o json",
		"settings smtp set":    "outbound settings smtp set --host mail.example.com --encryption starttls --from-address outbound@example.com",
		"stats":                "outbound stats\noutbound stats --recipient ticket-system --range 7d -o json",
		"status":               "outbound status\noutbound status --watch\noutbound status --recipient ticket-system -o json",
	}
}

// addExamples sets the example of commands that have none.
func addExamples(root *cobra.Command) {
	for path, example := range examples() {
		c, rest, err := root.Find(strings.Fields(path))
		if err == nil && len(rest) == 0 && c.Example == "" {
			c.Example = "  " + strings.ReplaceAll(example, "\n", "\n  ")
		}
	}
}
