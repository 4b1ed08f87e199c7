package pki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/process"
)

// Options name the files of a process's certificate. All are read again when they change.
type Options struct {
	// CertFile holds the certificate and those that lead to its authority (PEM), its own first. With it listeners speak TLS alone.
	CertFile string `yaml:"certFile"`
	// KeyFile holds the private key of the certificate (PEM).
	KeyFile string `yaml:"keyFile"`
	// CAFile holds the authorities (PEM) that other services are verified by, as servers and as clients. Empty: other services are reached
	// in plain text.
	CAFile string `yaml:"caFile"`
}

// Validate reports every fault at once.
func (o Options) Validate() error {
	var f process.Faults
	if o.CertFile != "" && o.KeyFile == "" {
		f.Add("keyFile", "is missing, but certFile is set: name the file with its private key")
	}
	if o.KeyFile != "" && o.CertFile == "" {
		f.Add("certFile", "is missing, but keyFile is set: name the file with its certificate")
	}
	return f.Err()
}

// Serves reports whether listeners speak TLS.
func (o Options) Serves() bool { return o.CertFile != "" }

// Proves reports whether the process proves to other services by its certificate who it is.
func (o Options) Proves() bool { return o.CertFile != "" && o.CAFile != "" }

// Files are the certificate, the key and the authorities of a process as its files have them. What can't be used of new files leaves the
// old ones in use and raises a notice.
type Files struct {
	o       Options
	notices *notice.Board
	now     func() time.Time

	state atomic.Pointer[state]
	mu    sync.Mutex
	seen  contents
}

// state is what the files hold. It is not changed once made.
type state struct {
	pair *tls.Certificate
	pool *x509.CertPool
	// server is the configuration of listeners that ask for certificates of services, front that of those that do not.
	server, front *tls.Config
}

// contents are the files as they were read.
type contents struct{ cert, key, ca string }

// The keys of notices.
const (
	noticeFiles  = "tls.files"
	noticeExpiry = "tls.expiry"
)

// watchEvery is the pause between two looks at the files.
const watchEvery = 2 * time.Second

// Load reads the files. An error names the option and the file. Notices may be nil, clock is nil for time.Now.
func Load(o Options, notices *notice.Board, clock func() time.Time) (*Files, error) {
	if clock == nil {
		clock = time.Now
	}
	f := &Files{o: o, notices: notices, now: clock}
	c, err := o.read()
	if err != nil {
		return nil, err
	}
	s, err := o.parse(c)
	if err != nil {
		return nil, err
	}
	f.state.Store(s)
	f.seen = c
	f.judge(s)
	return f, nil
}

// Watch reads the files every two seconds until ctx ends.
func (f *Files) Watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.Refresh()
		}
	}
}

// Refresh reads the files now, as Watch does.
func (f *Files) Refresh() {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.o.read()
	if err == nil && c != f.seen {
		var s *state
		if s, err = f.o.parse(c); err == nil {
			err = f.better(s)
		}
		if err == nil {
			f.state.Store(s)
			f.seen = c
		}
	}
	text := ""
	if err != nil {
		text = fmt.Sprintf("The files of the certificate changed and can't be used: %v. The ones before stay in use%s. Mend the files: they are "+
			"read again by themselves.", err, f.until())
	}
	f.notices.Set(noticeFiles, text)
	f.judge(f.state.Load())
}

// better refuses a certificate that is not valid now in place of one that is.
func (f *Files) better(s *state) error {
	now, old := f.now(), f.state.Load()
	if s.pair == nil || old.pair == nil || invalid(s.pair.Leaf, now) == "" || invalid(old.pair.Leaf, now) != "" {
		return nil
	}
	return fmt.Errorf("tls.certFile: %s: the certificate %s", f.o.CertFile, invalid(s.pair.Leaf, now))
}

func (f *Files) until() string {
	s := f.state.Load()
	if s.pair == nil {
		return ""
	}
	return ", until " + day(s.pair.Leaf.NotAfter)
}

// judge raises a notice about a certificate that has expired or soon will.
func (f *Files) judge(s *state) {
	text := ""
	if s.pair != nil {
		text = expiry(s.pair.Leaf, f.o.CertFile, f.now())
	}
	f.notices.Set(noticeExpiry, text)
}

// warnAtMost is how long before its end a certificate is mentioned, or a sixth of its life if that is less.
const (
	warnAtMost  = 14 * 24 * time.Hour
	warnPortion = 6
)

// expiry says that a certificate has expired, or will soon and should have been replaced by now; empty: neither.
func expiry(c *x509.Certificate, file string, now time.Time) string {
	why := invalid(c, now)
	if why == "" && c.NotAfter.Sub(now) < min(warnAtMost, c.NotAfter.Sub(c.NotBefore)/warnPortion) {
		return fmt.Sprintf("The certificate in %s expires on %s. Replace it and its key before: they are read again by themselves.", file,
			day(c.NotAfter))
	}
	if why == "" {
		return ""
	}
	return fmt.Sprintf("The certificate in %s %s: clients refuse the connection. Replace it and its key: they are read again by themselves.",
		file, why)
}

// invalid says why a certificate is not valid now; empty: it is.
func invalid(c *x509.Certificate, now time.Time) string {
	switch {
	case now.After(c.NotAfter):
		return "expired on " + day(c.NotAfter)
	case now.Before(c.NotBefore):
		return "is not valid before " + day(c.NotBefore)
	default:
		return ""
	}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func (o Options) read() (c contents, err error) {
	for _, x := range []struct {
		option, file string
		to           *string
	}{{"tls.certFile", o.CertFile, &c.cert}, {"tls.keyFile", o.KeyFile, &c.key}, {"tls.caFile", o.CAFile, &c.ca}} {
		if x.file == "" {
			continue
		}
		b, err := os.ReadFile(x.file)
		if err != nil {
			return c, fmt.Errorf("%s: %w", x.option, err)
		}
		*x.to = string(b)
	}
	return c, nil
}

func (o Options) parse(c contents) (*state, error) {
	s := &state{}
	if o.CertFile != "" {
		if _, err := certificate.Parse(c.cert); err != nil {
			return nil, fmt.Errorf("tls.certFile: %s %w", o.CertFile, err)
		}
		pair, err := certificate.Pair(c.cert, c.key)
		if err != nil {
			return nil, fmt.Errorf("tls.keyFile: %s %w", o.KeyFile, err)
		}
		if pair.Leaf == nil {
			if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
				return nil, fmt.Errorf("tls.certFile: %s: %w", o.CertFile, err)
			}
		}
		s.pair = &pair
	}
	if o.CAFile != "" {
		pool, err := certificate.Pool(c.ca)
		if err != nil {
			return nil, fmt.Errorf("tls.caFile: %s %w", o.CAFile, err)
		}
		s.pool = pool
	}
	s.configure()
	return s, nil
}
