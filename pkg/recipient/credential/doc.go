// Package credential reads and checks the keys, certificates and secrets that a recipient authenticates with.
package credential
