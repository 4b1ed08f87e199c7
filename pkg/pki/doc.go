// Package pki has the certificates of Outbound's own listeners and of its clients: files that are read again when they change, a local
// certificate authority, and the identity by which one service knows another (an X.509 URI name as SPIFFE has it).
//
// files.go reads and watches, config.go makes configurations of TLS of them, authority.go issues, identity.go names, pin.go verifies a
// server by a fingerprint. What verifies receivers and relays is package trust.
package pki
