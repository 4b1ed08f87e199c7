// Package storefile checks and mends the files in which nats-server keeps streams, before a server opens them. nats-server itself repairs
// a damaged block by cutting it off at the damage, skips a stream whose settings it cannot read, and starts a consumer anew without its
// state, all with no more than a line in its log. The formats are those of nats-server 2.15 (server/filestore.go).
package storefile
