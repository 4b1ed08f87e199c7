package history

// LastDue is the day of the last daily notice that fell due.
var LastDue = lastDue
