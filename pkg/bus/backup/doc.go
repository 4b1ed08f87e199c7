// Package backup takes a backup of streams and buckets while they are in use, and restores it into a broker that nobody uses.
//
// A backup is a tar file. Its first member, outbound-backup.json, says what it is; then each part, a stream or a bucket, follows as
// PART/stream.json and pieces of the snapshot that the broker makes of a stream (PART/000001.s2 and on). manifest.json lists the parts
// with their checksums. The last member, sha256, is the checksum of all members before it, so that a file that was cut off or
// changed is refused.
//
// The parts are read one after the other while events are accepted and delivered, in the order of parts. What is referred to is
// read after what refers to it, so that nothing is lost and little is repeated:
//
//   - buckets before EVENTS: a recipient that is created meanwhile is not in the backup, and neither does its start sequence
//     point behind the end of EVENTS;
//   - the marks of intake before EVENTS and HISTORY: they promise no record that is not there;
//   - CHECKPOINTS before EVENTS: no record that a checkpoint covers is of an event that is not in the backup;
//   - EVENTS before HISTORY: a delivery that ends meanwhile waits in the restored queue, and its record says that it is final.
//
// Records of events that were accepted after EVENTS was read are removed by the restore: the event is not in the backup, and a
// record would have it refused as a duplicate when it is sent again.
package backup
