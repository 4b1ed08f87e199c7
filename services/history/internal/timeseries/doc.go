// Package timeseries counts what happened in the last hour, day and week, in intervals, for all recipients together and for each: how
// much was delivered, how much failed, how long deliveries took, and how long the queues were.
//
// Counts and latencies are derived from the delivery log as it grows, in memory (Counter). They are kept as entries of 12 bytes, one for
// each interval, recipient and kind of fact, so that an interval in which nothing happened takes no memory, and a record at most 36 bytes
// for its recipient and as much for the sum. Queues are not in the log: one of the history processes looks them up once a minute and
// stores them, and all of them follow what is stored (Sampler, Queues).
package timeseries
