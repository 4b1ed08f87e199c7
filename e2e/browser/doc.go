// Package browser looks at the console as a person does: in Debian's Chromium, by clicking, typing and reading. It also holds each
// page it has seen against what must hold on all of them: nothing hostile was executed, nothing was refused by the
// Content-Security-Policy, no script threw, nothing came from another host, and axe-core finds nothing that shuts people out.
//
// It waits for what the page shows, never for a time.
package browser
