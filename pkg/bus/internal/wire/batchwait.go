package wire

import "time"

// BatchWait is how long a committer waits for more messages: the longest, or background if nobody waits for the first one, looking at
// each step.
type BatchWait struct {
	longest, background, step time.Duration
	// growing has it wait only as long as more come.
	growing bool
}

// Events is how the committer of EVENTS waits.
func Events() BatchWait { return BatchWait{longest: eventWait, step: eventStep, growing: true} }

// Records is how the committer of HISTORY waits.
func Records() BatchWait {
	return BatchWait{longest: recordWait, background: intakeWait, step: recordStep}
}
