package status

import (
	"fmt"
	"time"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// backlogNoticeFor is how long the status says that deliveries were cancelled for lack of storage.
const backlogNoticeFor = 24 * time.Hour

// backlogNotices returns notices on recipients whose oldest deliveries were cancelled because EVENTS had no room for them.
func backlogNotices(recipients []*recipient.Recipient, now time.Time) []string {
	var out []string
	for _, r := range recipients {
		if !r.BacklogTime.IsZero() && now.Sub(r.BacklogTime) < backlogNoticeFor {
			out = append(out, fmt.Sprintf("The oldest deliveries of %s have been cancelled since %s because they were too old or the EVENTS "+
				"stream was almost full. See outbound deliveries list --recipient %s --reason backlog.",
				r.ID, r.BacklogTime.UTC().Format(time.RFC3339), r.ID))
		}
	}
	return out
}
