// Package eventlog reads EVENTS: accepted events, replays and tests that are still stored.
package eventlog
