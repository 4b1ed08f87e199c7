// Package accounts lets appliances in to a nats-server in operator mode, without a file or a reload: each appliance has an account of its
// own, made by the config service (Operator, Resolver), and who signs in with a name and a password is answered by the ingest services
// (Responder), which nats-server asks by its auth callout. ADR 0020 says why.
package accounts
