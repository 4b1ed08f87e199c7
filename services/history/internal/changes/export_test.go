package changes

// The judgements on a delivery's newest record.
var (
	JudgeSendNow = sendNow
	JudgeExtend  = extend
	JudgeCancel  = cancelled
)

// The settlements.
const (
	Stays     = stays
	ComesNow  = comesNow
	Ends      = ends
	Expedites = expedites
)
