package config

import (
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/access"
)

// unimplementedAccess is embedded one level deeper than what implements the methods, so that it gives way to it.
type unimplementedAccess struct {
	outboundv1.UnimplementedAccessServiceServer
}

// accessServer is AccessService. What it embeds implements the methods.
type accessServer struct {
	unimplementedAccess
	*access.Access
}
