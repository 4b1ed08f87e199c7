package config

import (
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/access"
)

// unimplementedAccess are the methods that nothing implements. They are embedded deeper than the implementations, so
// that those are the ones that are promoted.
type unimplementedAccess struct {
	outboundv1.UnimplementedAccessServiceServer
}

// accessServer is AccessService. What it embeds implements the methods.
type accessServer struct {
	unimplementedAccess
	*access.Access
}
