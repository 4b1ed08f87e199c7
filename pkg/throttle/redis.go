package throttle

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// RedisOptions say how to reach Redis.
type RedisOptions struct {
	// Address of Redis, host:port. Empty: limits are kept by this process alone.
	Address string `yaml:"address"`
	// User name at Redis (ACL). Empty: the default user.
	User string `yaml:"user"`
	// PasswordFile holds the password, blanks around it cut. Empty: none.
	PasswordFile string `yaml:"passwordFile"`
	// TLS encrypts the connection and verifies the server by the system's root certificates.
	TLS bool `yaml:"tls"`
	// CAFile holds root certificates (PEM) that verify the server instead; with it the connection is TLS.
	CAFile string `yaml:"caFile"`
	// CertFile and KeyFile are a certificate (PEM) and its key by which Redis may know this client; with them the connection is TLS.
	CertFile string `yaml:"certFile"`
	KeyFile  string `yaml:"keyFile"`
	// Replicas is how many senders share the limits. While Redis is away each keeps to this part of them.
	Replicas int `yaml:"replicas"`
	// Timeout is how long one question to Redis may take before it is taken to be away. 0: 250 ms.
	Timeout time.Duration `yaml:"timeout"`
}

// Validate reports every fault at once.
func (o RedisOptions) Validate() error {
	var f process.Faults
	if o.Replicas < 0 {
		f.Add("replicas", "must not be negative: set it to the number of senders that share the limits")
	}
	if o.Timeout < 0 {
		f.Add("timeout", "must not be negative: set it to the timeout of a Redis request, e.g. 250ms")
	}
	if o.Address == "" && (o.User != "" || o.PasswordFile != "" || o.CAFile != "" || o.TLS) {
		f.Add("address", "is missing, but user, passwordFile, tls or caFile is set")
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		f.Add("certFile", "and keyFile go together: set both or neither")
	}
	if o.User != "" && o.PasswordFile == "" {
		f.Add("passwordFile", "is missing, but user is set: name the file that holds the user's password")
	}
	return f.Err()
}

// Redis is a Limiter shared by all processes that use the same Redis. While Redis is away it keeps to its share in memory.
type Redis struct {
	client  io.Closer
	limiter *redis_rate.Limiter
	local   *Memory
	share   int
	log     *slog.Logger
	timeout time.Duration
	// away is until when Redis is not asked again, in nanoseconds since began, by the monotonic clock; 0 while it answers.
	away  atomic.Int64
	began time.Time
}

// The bounds of a question to Redis: a delivery waits for it, so it is short, and after a failure nobody asks for a while.
const (
	defaultTimeout = 250 * time.Millisecond
	redisPause     = time.Second
)

func (o RedisOptions) timeout() time.Duration { return cmp.Or(o.Timeout, defaultTimeout) }

// NewClient makes a client of Redis. It does not connect yet. It is not a method, for the methods of what is read from a file are part of
// its type: each package that has RedisOptions in its own would compile the hundreds of methods of a client again.
func NewClient(o RedisOptions) (*redis.Client, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("options of redis: %w", err)
	}
	bound := o.timeout()
	opts := &redis.Options{Addr: o.Address, Username: o.User, ClientName: "outbound", DialTimeout: bound, ReadTimeout: bound,
		WriteTimeout: bound, MaxRetries: -1, ContextTimeoutEnabled: true}
	if o.PasswordFile != "" {
		b, err := os.ReadFile(o.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("passwordFile: %w", err)
		}
		opts.Password = strings.TrimSpace(string(b))
	}
	if o.TLS {
		opts.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if o.CAFile != "" {
		b, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("caFile: %w", err)
		}
		pool, err := certificate.Pool(string(b))
		if err != nil {
			return nil, fmt.Errorf("caFile: %s %w", o.CAFile, err)
		}
		opts.TLSConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	if o.CertFile != "" {
		if opts.TLSConfig == nil {
			opts.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if _, err := o.clientCertificate(nil); err != nil {
			return nil, err
		}
		opts.TLSConfig.GetClientCertificate = o.clientCertificate
	}
	return redis.NewClient(opts), nil
}

// clientCertificate reads the client's certificate, at each connection.
func (o RedisOptions) clientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	chain, err := os.ReadFile(o.CertFile)
	if err != nil {
		return nil, fmt.Errorf("certFile: %w", err)
	}
	key, err := os.ReadFile(o.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("keyFile: %w", err)
	}
	pair, err := certificate.Pair(string(chain), string(key))
	if err != nil {
		return nil, fmt.Errorf("keyFile: %s %w", o.KeyFile, err)
	}
	return &pair, nil
}

// NewRedis makes a shared limiter. It does not connect yet: a Redis that is away is no error. Close ends it.
func NewRedis(o RedisOptions, log *slog.Logger) (*Redis, error) {
	c, err := NewClient(o)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Redis{client: c, limiter: redis_rate.NewLimiter(c), local: NewMemory(), share: max(1, o.Replicas), log: log,
		timeout: o.timeout(), began: time.Now()}, nil
}

// Close ends the connections.
func (r *Redis) Close() error {
	if err := r.client.Close(); err != nil {
		return fmt.Errorf("close redis: %w", err)
	}
	return nil
}

// Take implements Limiter.
func (r *Redis) Take(ctx context.Context, key string, l Limit) time.Duration {
	if l.Turns <= 0 || l.Period <= 0 {
		return 0
	}
	until := r.away.Load()
	if until > int64(time.Since(r.began)) {
		return r.alone(ctx, key, l)
	}
	ask, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	res, err := r.limiter.Allow(ask, "outbound:"+key, redis_rate.Limit{Rate: l.Turns, Burst: l.burst(), Period: l.Period})
	if err != nil {
		if ctx.Err() == nil && r.away.Swap(int64(time.Since(r.began)+redisPause)) == 0 {
			r.log.Warn("Redis is not available: this sender uses its share of the limits", telemetry.KeyError, err.Error(),
				logkey.Replicas, r.share)
		}
		return r.alone(ctx, key, l)
	}
	if until != 0 && r.away.CompareAndSwap(until, 0) {
		r.log.Info("Redis is available again: limits are shared")
	}
	if res.Allowed > 0 {
		return 0
	}
	return max(res.RetryAfter, time.Millisecond)
}

// alone keeps to this process's share, at least one turn a period.
func (r *Redis) alone(ctx context.Context, key string, l Limit) time.Duration {
	l.Period *= time.Duration(r.share)
	return r.local.Take(ctx, key, l)
}
