package allinone

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/outbound-events/outbound/pkg/pki"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/internal/setup"
)

// TLS says where the certificate of the listeners comes from.
type TLS string

// The ways to have one.
const (
	// TLSOff has the listeners speak plain text.
	TLSOff TLS = "off"
	// TLSAuto has a local authority in the data folder issue it.
	TLSAuto TLS = "auto"
	// TLSFiles reads it from files.
	TLSFiles TLS = "files"
)

// folderPKI is where the local authority is, in the data folder.
const folderPKI = "pki"

// checkTLS adds what is wrong with the options of TLS and with addresses that need it.
func (o *Options) checkTLS(f *process.Faults) {
	if o.TLS == "" {
		o.TLS = TLSOff
	}
	switch o.TLS {
	case TLSOff, TLSAuto:
		if o.TLSCert != "" || o.TLSKey != "" {
			f.Add("tls (--tls)", "is %s, but --tls-cert or --tls-key is set: use --tls files, or leave them out", o.TLS)
		}
	case TLSFiles:
		if o.TLSCert == "" {
			f.Add("tlsCert (--tls-cert)", "is missing: set it to the file with the certificate (PEM)")
		}
		if o.TLSKey == "" {
			f.Add("tlsKey (--tls-key)", "is missing: set it to the file with the certificate's private key (PEM)")
		}
	default:
		f.Add("tls (--tls)", "%q is not known: use auto, off or files", o.TLS)
		return
	}
	t := process.Transport{TLS: o.TLS != TLSOff, Insecure: o.Insecure, Remedy: "use --tls auto"}
	metrics := process.Transport{Insecure: o.Insecure, Remedy: setup.MetricsRemedy}
	if err := metrics.Check(o.Telemetry.Metrics); o.Telemetry.Metrics != "" && err != nil {
		f.Add("telemetry.metrics (--metrics)", "%v", err)
	}
	for _, x := range o.listeners() {
		if err := t.Check(x.address); err != nil && checkAddress(x.address) == nil {
			f.Add(x.path+" (--"+x.path+")", "%v", err)
		}
	}
}

type listenAddress struct{ path, address string }

func (o *Options) listeners() []listenAddress {
	return []listenAddress{{"http", o.HTTP}, {"grpc", o.GRPC}, {"nats", o.NATS}}
}

// renewEvery is the pause between two looks whether the local certificate is to be renewed.
const renewEvery = time.Hour

// openTLS reads the certificate of the listeners, and makes it at the first start with TLSAuto.
func (r *runtime) openTLS() (err error) {
	if r.o.TLS == TLSOff {
		return nil
	}
	o := pki.Options{CertFile: r.o.TLSCert, KeyFile: r.o.TLSKey}
	if r.o.TLS == TLSAuto {
		dir := filepath.Join(r.o.Data, folderPKI)
		o = pki.Options{CertFile: filepath.Join(dir, pki.FileCert), KeyFile: filepath.Join(dir, pki.FileKey)}
		if err := r.ensureCertificate(dir); err != nil {
			return fmt.Errorf("--tls auto: %w", err)
		}
		r.group.Add("local certificate", func(ctx context.Context) error { return r.renew(ctx, dir) })
	}
	if r.files, err = pki.Load(o, r.notices, process.Clock()); err != nil {
		return fmt.Errorf("--tls %s: %w", r.o.TLS, err)
	}
	r.group.Add("certificate files", r.files.Watch)
	return nil
}

// tlsConfig is the configuration of the listeners; nil without TLS.
func (r *runtime) tlsConfig() *tls.Config {
	if r.files == nil {
		return nil
	}
	return r.files.Front()
}

// ensureCertificate has the local authority issue a certificate unless there is one that can stay.
func (r *runtime) ensureCertificate(dir string) error {
	now := process.Clock()()
	a, err := pki.OpenAuthority(dir, now)
	if err != nil {
		return err
	}
	_, err = a.Ensure(dir, pki.Subject{Hosts: r.o.certificateHosts()}, now)
	return err
}

// noticeRenewal is the key of the notice of a certificate that could not be renewed.
const noticeRenewal = "tls.renewal"

// renew renews the local certificate before it expires, until ctx ends. The watch of the files takes it into use.
func (r *runtime) renew(ctx context.Context, dir string) error {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		text := ""
		if err := r.ensureCertificate(dir); err != nil {
			text = fmt.Sprintf("The local certificate can't be renewed: %v.", err)
			r.telemetry.Logger.WarnContext(ctx, "certificate not renewed", telemetry.KeyError, err.Error())
		}
		r.notices.Set(noticeRenewal, text)
	}
}

// certificateHosts are the names and addresses by which clients may call this process.
func (o *Options) certificateHosts() []string {
	hosts := append([]string{"localhost", "127.0.0.1", "::1"}, o.TLSHosts...)
	if name, err := os.Hostname(); err == nil && name != "" {
		hosts = append(hosts, name)
	}
	if u, err := url.Parse(o.Console.PublicURL); err == nil && u.Hostname() != "" {
		hosts = append(hosts, u.Hostname())
	}
	for _, x := range o.listeners() {
		host, _, err := net.SplitHostPort(x.address)
		if err != nil {
			continue
		}
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			hosts = append(hosts, interfaceAddresses()...)
		} else {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// interfaceAddresses are the addresses of this host.
func interfaceAddresses() (out []string) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil // the certificate is for its names then
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			out = append(out, n.IP.String())
		}
	}
	return out
}

// endpoints are the addresses chosen, and how to verify who answers there.
func (r *runtime) endpoints() (Endpoints, error) {
	e := Endpoints{HTTP: r.http.Addr().String(), GRPC: r.grpc.Addr().String(), NATS: r.broker.Addr()}
	switch r.o.TLS {
	case TLSFiles:
		file, err := filepath.Abs(r.o.TLSCert)
		if err != nil {
			return e, fmt.Errorf("find %s: %w", r.o.TLSCert, err)
		}
		e.TLS, e.CertFile = TLSFiles, file
	case TLSAuto:
		dir := filepath.Join(r.o.Data, folderPKI)
		a, err := pki.OpenAuthority(dir, process.Clock()())
		if err != nil {
			return e, err
		}
		file, err := filepath.Abs(filepath.Join(dir, pki.FileCA))
		if err != nil {
			return e, fmt.Errorf("find the authority: %w", err)
		}
		e.TLS, e.CAFile, e.CAFingerprint = TLSAuto, file, a.Fingerprint()
	case TLSOff:
	}
	return e, nil
}
