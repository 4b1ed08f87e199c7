package setup

import "github.com/outbound-events/outbound/pkg/throttle"

// Limiter shares limits by Redis if there is one. A Redis that is away is no error: each sender keeps to its part then.
func (p *Process) Limiter(o throttle.RedisOptions) (throttle.Limiter, error) {
	if o.Address == "" {
		return throttle.NewMemory(), nil
	}
	r, err := throttle.NewRedis(o, p.Telemetry.Logger)
	if err != nil {
		return nil, err
	}
	p.Defer(func() { _ = r.Close() })
	return r, nil
}
