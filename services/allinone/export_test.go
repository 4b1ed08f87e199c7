package allinone

import "github.com/outbound-events/outbound/pkg/bus/embed"

// OnBroker has f be told of the broker when it is started.
func (s *Service) OnBroker(f func(*embed.Server)) {
	s.start = func(o embed.Options) (*embed.Server, error) {
		b, err := embed.Start(o)
		if err == nil {
			f(b)
		}
		return b, err
	}
}
