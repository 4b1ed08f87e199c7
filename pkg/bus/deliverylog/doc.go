// Package deliverylog is the delivery log: every intake decision and every attempt, in the stream HISTORY.
package deliverylog
