package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/access/guessable"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// The cost of a password hash: argon2id with 19 MiB, 2 passes and a parallelism of 1, as OWASP recommends.
const (
	hashMemory  = 19 * 1024
	hashPasses  = 2
	hashThreads = 1
	hashLength  = 32
	saltLength  = 16
)

// maxHashes bounds the memory of concurrent sign-ins: 4 × 19 MiB.
const maxHashes = 4

// The bounds of a password, in characters.
const (
	minPassword = 12
	maxPassword = 256
)

// passwords hashes passwords and compares them with hashes, a few at a time.
type passwords struct {
	slots chan struct{}
	// dummy is the hash that is compared with if a user does not exist, so that the answer takes as long.
	dummy     string
	guessable *guessable.List
}

func newPasswords() *passwords {
	return &passwords{slots: make(chan struct{}, maxHashes), dummy: phc(make([]byte, saltLength), make([]byte, hashLength)),
		guessable: guessable.New()}
}

// phc returns a hash with its salt and parameters in PHC format.
func phc(salt, sum []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashPasses, hashThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// hash returns the hash of a password in PHC format.
func (p *passwords) hash(password string) string {
	p.slots <- struct{}{}
	defer func() { <-p.slots }()
	salt := make([]byte, saltLength)
	// crypto/rand never fails; it ends the program when the system has no randomness.
	_, _ = rand.Read(salt)
	return phc(salt, argon2.IDKey([]byte(password), salt, hashPasses, hashMemory, hashThreads, hashLength))
}

// matches reports whether a password is the one of a hash. Without a hash it takes as long, and returns false.
func (p *passwords) matches(ctx context.Context, password, hash string) (bool, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-p.slots }()
	known := hash != ""
	if !known {
		hash = p.dummy
	}
	var version int
	var memory, passes uint32
	var parallelism uint8
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, fmt.Errorf("read a password hash: not argon2id in PHC format")
	}
	_, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &passes, &parallelism)
	if err != nil || version != argon2.Version {
		return false, fmt.Errorf("read a password hash: unsupported parameters")
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, fmt.Errorf("read a password hash: %w", err)
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) != hashLength {
		return false, fmt.Errorf("read a password hash: it is truncated")
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, parallelism, hashLength)
	return subtle.ConstantTimeCompare(got, want) == 1 && known, nil
}

// product is a word that passwords of this product are built on.
const product = "outbound"

// check adds what is wrong with a new password: its length, or that it is guessed soon (NIST SP 800-63B, 3.1.1.2). names are those of its
// user.
func (p *passwords) check(v *validation.Violations, field, password string, names ...string) {
	switch n := utf8.RuneCountInString(password); {
	case n < minPassword:
		v.Add(field, validation.Invalid, fmt.Sprintf("has %d characters: use at least %d", n, minPassword))
	case n > maxPassword:
		v.Add(field, validation.Invalid, fmt.Sprintf("has %d characters: use at most %d", n, maxPassword))
	case !utf8.ValidString(password):
		v.Add(field, validation.Invalid, "is not UTF-8")
	case strings.Trim(password, string([]rune(password)[0])) == "":
		v.Add(field, validation.Invalid, "repeats one character: use several words")
	default:
		if why := p.guessable.Why(password, append(names, product)...); why != "" {
			v.Add(field, guessed, why)
		}
	}
}

// guessed is the reason of a password that is guessed soon.
const guessed = "GUESSABLE"

// errWrongPassword does not say which of the two is wrong.
func errWrongPassword() error {
	return status.Error(codes.Unauthenticated, "the name or the password is wrong")
}

// SignIn implements outboundv1.AccessServiceServer. Users that do not exist, are disabled or have no password get the same answer after
// the same time.
func (s *Access) SignIn(ctx context.Context, q *outboundv1.SignInRequest) (*outboundv1.User, error) {
	u, err := s.user(ctx, q.GetName())
	if err != nil {
		return nil, err
	}
	fits, err := s.passwords.matches(ctx, q.GetPassword(), u.GetPasswordHash())
	if err != nil {
		return nil, err
	}
	if !fits || u.GetUser().GetDisabled() {
		return nil, errWrongPassword()
	}
	return u.GetUser(), nil
}

// ChangePassword implements outboundv1.AccessServiceServer.
func (s *Access) ChangePassword(ctx context.Context, q *outboundv1.ChangePasswordRequest) (*emptypb.Empty, error) {
	p, _ := rpc.PrincipalFrom(ctx)
	u, err := s.user(ctx, p.Name)
	if err != nil {
		return nil, err
	}
	if u.GetPasswordHash() == "" {
		return nil, rpc.FailedPrecondition("NO_PASSWORD", p.Name+" has no password in Outbound")
	}
	if err := s.guesses.begin(p.Name, s.now()); err != nil {
		return nil, err
	}
	fits, err := s.passwords.matches(ctx, q.GetCurrentPassword(), u.GetPasswordHash())
	if err != nil {
		return nil, err
	}
	if fits {
		s.guesses.right(p.Name)
	}
	var v validation.Violations
	if !fits {
		v.Add("currentPassword", validation.Invalid, "is not the current password")
	}
	s.passwords.check(&v, "newPassword", q.GetNewPassword(), p.Name, u.GetUser().GetDisplayName())
	if fits && q.GetNewPassword() == q.GetCurrentPassword() {
		v.Add("newPassword", validation.Invalid, "is the current password: choose a new one")
	}
	if err := v.Err(); err != nil {
		return nil, err
	}
	hash := s.passwords.hash(q.GetNewPassword())
	_, err = s.changeUser(ctx, p.Name, "", func(now *outboundv1.StoredUser) error {
		if now.GetPasswordHash() != u.GetPasswordHash() {
			return rpc.Aborted(kindUser, p.Name)
		}
		s.setPassword(now, hash)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}
