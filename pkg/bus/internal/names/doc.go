// Package names holds the names of streams, buckets, subjects, consumers and headers. It is their only address.
package names
