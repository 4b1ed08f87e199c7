// Package ingest is the service that takes events in: over NATS (a request on the appliance's subject) and over gRPC, which
// REST is made of. It validates each event, knows a repeat, stores it for good, answers, and records every decision.
//
// An event goes through the files in this order:
//
//	nats, grpc   the two ways in
//	auth         which appliance has sent it: tokens of appliances
//	limits       how much one sender, and all together, may publish; internal/fair shares what can be stored
//	intake       validation, repeats, the append to EVENTS, the response
//	appoint      which appliance an event is of
//	record       the decision in HISTORY, with its log line and counter
//	progress     up to where all accepted events have a record
//	mark         the same, stored for the recovery
//	recovery     writes the records that a process which was killed has left out
//	trace        spans
//
// What makes an event invalid is in pkg/event. Whoever adds a way in calls intake and answers with its decision.
package ingest
