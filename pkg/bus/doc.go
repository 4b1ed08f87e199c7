// Package bus is the adapter of NATS. It connects, publishes events, and keeps keys and values; the packages below it do the rest:
//
//   - deliverylog: the stream HISTORY, a record for each intake decision and each attempt
//   - eventlog: the stream EVENTS, read back
//   - queue: deliveries handed out and settled; the only place that acknowledges
//   - control: consumers, stream states, the health of recipients, questions to other processes
//   - embed: the broker inside this process
//   - internal/wire: what these share; names of streams, subjects and consumers stand in streams.go
//
// No other package knows NATS.
package bus
