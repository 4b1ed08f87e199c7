package token

import (
	"errors"
	"slices"
)

// CheckParameter returns why a parameter may not be added to the requests of a client; scopes tells whether it has some.
func CheckParameter(name string, scopes bool) error {
	switch {
	case name == "":
		return errors.New("is empty: set the name of the parameter, e.g. audience")
	case slices.Contains([]string{"grant_type", "client_id", "client_secret", "refresh_token"}, name):
		return errors.New("is reserved: Outbound sets " + name + " itself, from the other fields")
	case name == "scope" && scopes:
		return errors.New("is set by scopes: use either of them")
	default:
		return nil
	}
}
