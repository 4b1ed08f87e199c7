package recipients

// firstSteps lead a fresh installation to its first delivery. They are shown until something was delivered.
type firstSteps struct {
	Appliance, Recipient, Tried, Delivered bool
	// ID is a recipient to send a test event to.
	ID string
}

// Done reports whether all is done.
func (s *firstSteps) Done() bool { return s.Delivered }

func stepsOf(f statusData) *firstSteps {
	s := &firstSteps{Appliance: f.appliances > 0, Recipient: len(f.recipients) > 0}
	if s.Recipient {
		s.ID = f.recipients[0].GetId()
	}
	for _, r := range f.status.GetRecipients() {
		s.Tried = s.Tried || r.GetLastAttemptTime() != nil
		s.Delivered = s.Delivered || r.GetLastDeliveredTime() != nil
	}
	return s
}

// welcomes reports whether a page shows the steps: not where something was delivered, nor where the status can't be told.
func (b *overview) welcomes() bool { return b.Known && !b.First.Done() }
