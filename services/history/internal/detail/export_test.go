package detail

// The sentences about deliveries, and what they are in a timeline.
var (
	SkipReason  = skipReason
	SummaryOf   = summaryOf
	EntryOf     = entryOf
	IntakeEntry = intakeEntry
)
