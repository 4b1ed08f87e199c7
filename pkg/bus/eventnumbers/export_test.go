package eventnumbers

import "time"

// GiveUpAfter is how long deliveries wait for numbers that can't be counted.
func (n *Numbers) GiveUpAfter(d time.Duration) { n.giveUp = d }
