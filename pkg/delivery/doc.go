// Package delivery has what a delivery, an attempt, an outcome and a verdict are, and the engine that takes deliveries from a queue and
// brings each to a recorded end.
//
// A message goes one way, and pipeline.go reads like it: decode, find the recipient, resume from the log, number, match, filter, expire,
// admit, send. The first step that decides ends the way; Engine.settle is the one function that has a message recorded and settled.
//
//   - engine.go: one recipientWorker for each recipient; worker.go: its pulls and what it has in hand
//   - pipeline.go: the steps, and how a message leaves; admission.go: rate limit and slots; resume.go: what the log knows
//   - numbering: the numbers that a receiver finds gaps by
//   - policy.go, filter.go: what a recipient selects, and when a delivery ends; all pure
//   - breaker.go, sweep.go: recipients that fail all the time, and how their queue is looked through
//   - maintenance.go: planned times in which nothing is sent, and the rate after them
//   - hold.go: messages that wait until the recipients that are known are as recent as their event
//   - settle.go, record.go: record first, settle after; a record is stored only after the one it follows
//   - queue.go: what the engine needs of others: Queue, Puller, Settler, Log, Directory, Observer, Sender
//   - lease: for how long a message belongs to the sender that has it
//   - slots: how the slots of the process are shared between recipients
//   - reasons, reasonclass, addresses: packages of their own
//
// To add a reason, add it to reasons and to the table in reasonclass; to add a step, write it as a step and put it into the pipeline.
package delivery
