// Package config is the service that owns the configuration: recipients, the SMTP relay, email retries, custom fields, event types,
// appliances, users and API tokens. It alone writes them, streams changes to the other services, and keeps one durable consumer per
// recipient.
//
// The gRPC servers (server_*.go) and the wiring (service.go) are here. What they do is in internal/:
//
//	store       the buckets: a Store is a bucket (KV) or a copy of one (Memory); Recipients, Names and Parts are its typed views
//	recipients  creates, changes, checks, tests and previews recipients
//	settings    relay, email retries, event types, custom fields, appliances, macros
//	access      users, passwords, API tokens
//	revisions   lists changes and rolls back
//	reconcile   consumers and names of recipients; draining, purging, and the limit of the backlog
//	watch       the streams of recipients and settings, with bookmarks
//	validation  violations of requests, field masks
//	naming      comparing names, making ids
//	loop        signals and pauses of background loops
//
// A method of the API is a method of one of these types with the signature of gRPC: the servers embed the types, so it is served without
// further code. A method with validate_only needs a method of the server too, which calls it in a dry run: the same recipients and
// settings on stores in memory, without consumers.
package config
