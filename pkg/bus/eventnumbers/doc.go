// Package eventnumbers numbers the deliveries of recipients by what EVENTS holds: Changes writes what recipients select into EVENTS, and
// Numbers follows it in a sender, counts, and keeps checkpoints. How numbers are counted is in pkg/delivery/numbering.
package eventnumbers
