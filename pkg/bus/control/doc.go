// Package control looks after consumers and streams, keeps the health of recipients, and asks other processes through the broker.
package control
