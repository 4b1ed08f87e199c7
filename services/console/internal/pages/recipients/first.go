package recipients

// firstSteps are the steps of a new installation to its first delivery. They are shown until an event is delivered.
type firstSteps struct {
	Appliance, Recipient, Tried, Delivered bool
	// ID is the recipient to send a test event to.
	ID string
}

// Done reports whether all steps are done.
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

// Welcome reports whether the page shows the first steps: not after a delivery, nor while the status is unavailable.
func (b *overview) Welcome() bool { return b.Known && !b.First.Done() }
