// Package queue hands deliveries out from the recipients' durable consumers, and is the only place that acknowledges.
package queue
