// Package tlog is the transparency log over the records of the delivery log: a Merkle tree (RFC 6962) whose leaves are records, signed
// checkpoints of it (C2SP tlog-checkpoint, signed-note), and receipts, which prove to anybody who has the verifier key that a record was
// in the log.
//
// The tree is stored in segments. A segment holds the entries of some leaves and the hashes of all perfect subtrees to the left of
// them, so that a reader can begin with any segment: the next checkpoint tells whether both are what they were.
package tlog
