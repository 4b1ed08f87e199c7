// Package storecheck finds out whether the broker has lost something of what was stored, and ends in order what cannot be restored.
//
// An Inventory, kept outside of the streams that it is about, says how far each stream had come. Check compares it, and what the streams
// know of each other, with what is there. Watch does so while a process runs. Repairer makes a damaged store usable and tells the losses.
package storecheck
