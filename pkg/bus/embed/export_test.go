package embed

// Waiting is how many connections of appliances are being checked.
func (s *Server) Waiting() int { return int(s.auth.waiting().inside.Load()) }
