package config

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
)

// The cost of a password's hash: argon2id with 19 MiB, 2 passes and a parallelism of 1, as OWASP has it.
const (
	hashMemory  = 19 * 1024
	hashPasses  = 2
	hashThreads = 1
	hashLength  = 32
	saltLength  = 16
)

// hashesAtOnce bounds the memory that signing in takes: 4 × 19 MiB.
const hashesAtOnce = 4

// The bounds of a password, in characters.
const (
	leastPassword = 12
	mostPassword  = 256
)

// passwords hashes passwords and compares with hashes, a few at a time.
type passwords struct {
	slots chan struct{}
	// nobody is the hash that the password of a user who is not there is compared with, so that it takes as long.
	nobody string
}

func newPasswords() *passwords {
	return &passwords{slots: make(chan struct{}, hashesAtOnce), nobody: phc(make([]byte, saltLength), make([]byte, hashLength))}
}

// phc writes a hash with its salt and parameters.
func phc(salt, sum []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashPasses, hashThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// hash is a password's hash in PHC form.
func (p *passwords) hash(password string) string {
	p.slots <- struct{}{}
	defer func() { <-p.slots }()
	salt := make([]byte, saltLength)
	// crypto/rand never fails; it ends the program when the system has no randomness.
	_, _ = rand.Read(salt)
	return phc(salt, argon2.IDKey([]byte(password), salt, hashPasses, hashMemory, hashThreads, hashLength))
}

// fits reports whether a password is the one of a hash. Without a hash it takes as long, and is not.
func (p *passwords) fits(ctx context.Context, password, hash string) (bool, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-p.slots }()
	known := hash != ""
	if !known {
		hash = p.nobody
	}
	var version int
	var memory, passes uint32
	var parallelism uint8
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, fmt.Errorf("read a password hash: not argon2id in PHC format")
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &passes, &parallelism); err != nil || version != argon2.Version {
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

// checkPassword notes what is wrong with a new password. Length is what counts.
func checkPassword(v *violations, field, password, name string) {
	switch n := utf8.RuneCountInString(password); {
	case n < leastPassword:
		v.add(field, reasonInvalid, fmt.Sprintf("has %d characters: use at least %d", n, leastPassword))
	case n > mostPassword:
		v.add(field, reasonInvalid, fmt.Sprintf("has %d characters: use at most %d", n, mostPassword))
	case !utf8.ValidString(password):
		v.add(field, reasonInvalid, "is not UTF-8")
	case strings.Trim(password, string([]rune(password)[0])) == "":
		v.add(field, reasonInvalid, "repeats one character: use several words")
	case name != "" && strings.ReplaceAll(strings.ToLower(password), name, "") == "":
		v.add(field, reasonInvalid, "repeats the name: use several words")
	}
}

// errWrongPassword tells nothing about which of the two is wrong.
func errWrongPassword() error {
	return status.Error(codes.Unauthenticated, "the name or the password is wrong")
}

// SignIn implements outboundv1.AccessServiceServer. It takes as long for somebody who is not there, is disabled or has no
// password, and answers the same.
func (s accessServer) SignIn(ctx context.Context, q *outboundv1.SignInRequest) (*outboundv1.User, error) {
	u, err := s.user(ctx, q.GetName())
	if err != nil {
		return nil, err
	}
	fits, err := s.passwords.fits(ctx, q.GetPassword(), u.GetPasswordHash())
	if err != nil {
		return nil, err
	}
	if !fits || u.GetUser().GetDisabled() {
		return nil, errWrongPassword()
	}
	return u.GetUser(), nil
}

// ChangePassword implements outboundv1.AccessServiceServer.
func (s accessServer) ChangePassword(ctx context.Context, q *outboundv1.ChangePasswordRequest) (*emptypb.Empty, error) {
	p, _ := rpc.PrincipalFrom(ctx)
	u, err := s.user(ctx, p.Name)
	if err != nil {
		return nil, err
	}
	if u.GetPasswordHash() == "" {
		return nil, rpc.FailedPrecondition("NO_PASSWORD", p.Name+"has no password in Outbound")
	}
	fits, err := s.passwords.fits(ctx, q.GetCurrentPassword(), u.GetPasswordHash())
	if err != nil {
		return nil, err
	}
	var v violations
	if !fits {
		v.add("currentPassword", reasonInvalid, "is not the current password")
	}
	checkPassword(&v, "newPassword", q.GetNewPassword(), p.Name)
	if fits && q.GetNewPassword() == q.GetCurrentPassword() {
		v.add("newPassword", reasonInvalid, "is the current password: choose a new one")
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	hash := s.passwords.hash(q.GetNewPassword())
	_, err = s.changeUser(ctx, p.Name, "", func(now *outboundv1.StoredUser) error {
		if now.GetPasswordHash() != u.GetPasswordHash() {
			return rpc.Aborted(kindUser, p.Name)
		}
		stampPassword(now, hash)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}
