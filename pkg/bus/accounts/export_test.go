package accounts

// Servers is how many servers answered last.
func (r *Resolver) Servers() int { return int(r.servers.Load()) }

// Answering is how many sign-ins are being answered.
func (r *Responder) Answering() int { return len(r.slots) }
