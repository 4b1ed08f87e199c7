// Package history is the service that answers what became of events: intake decisions, deliveries, status. It also sends deliveries
// again. It stores nothing of its own: all answers come from the streams and from the configuration. It derives what it keeps in
// memory, counts and an index, from the log of deliveries.
//
// The package itself has the options, the service and the gRPC servers (server_*.go), which only delegate. Below internal:
//
//	search       lists of deliveries and events, page by page; the stream of new records
//	detail       all about one delivery or event
//	replay       many deliveries or past events again, in the background
//	changes      single deliveries: retry, send now, extend, cancel
//	status       recipients, streams, processes, appliances, the SMTP relay; the notices on them
//	timeseries   deliveries, failures, latency and queues of the last hour, day and week
//	adminalerts  mails to the admin contacts: daily report, silent appliances, a stream that fills
//	carry        keeps the state of open deliveries in the log, which drops its oldest records
//	index        the newest records in memory, by what they can be searched by
//	lookup       events by their ids
//	queues       the queues of recipients
//	protofield   values as fields of API messages
//
// A method of the API goes into server_*.go and into the package that answers it. Something new in the status is a field of the
// message, a function in status, and a line in Reporter.Status.
package history
