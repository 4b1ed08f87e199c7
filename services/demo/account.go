package demo

import (
	"fmt"
	"strings"
)

// arrived prints and records an arrival. It is called by the servers' goroutines.
func (s *Service) arrived(a arrival) {
	switch {
	case a.Refused:
		s.screen.To(a.Recipient, yellow, "✗", fmt.Sprintf("responded with 500; next attempt in %s", retryInterval), "")
	case a.Subject != "":
		s.screen.To(a.Recipient, green, "✉", s.which(a)+a.Subject, opening(a.Lines))
	default:
		s.screen.To(a.Recipient, green, "✓", s.which(a)+summary(a), "")
	}
	s.ledger.Note(a)
}

// which says which event an arrival is about if the account is already at another, and how often it was tried before.
func (s *Service) which(a arrival) string {
	text := ""
	if n := s.ledger.Refused(owed{a.Recipient, a.EventKey}); n > 0 {
		text = fmt.Sprintf("at attempt %d: ", n+1)
	}
	if s.current.Load() != a.EventKey {
		text += a.value("event") + " "
	}
	return text
}

// summary is what the account shows of a message: what matters of its variables, its form, whether it was signed.
func summary(a arrival) string {
	shown := []string{"type", "name", "customer.name", "new_owner.display_name", "duration", "rating", "external_key", "custom." + fieldRegion}
	var parts []string
	for _, name := range shown {
		if value := a.value(name); value != "" {
			parts = append(parts, name+"="+value)
		}
	}
	what := fmt.Sprintf("%s of %d variables", a.Form, len(a.Variables))
	if a.Signed {
		what += ", signature verified"
	}
	return strings.Join(append(parts, "("+what+")"), "  ")
}

// opening is the first lines of a mail on one line.
func opening(lines []string) string {
	var parts []string
	for _, line := range lines {
		if line = strings.Join(strings.Fields(line), " "); line != "--" {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, " · ")
}
