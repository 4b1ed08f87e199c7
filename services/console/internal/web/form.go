package web

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/rpc"
)

// Form holds the values of a form and their faults. Fields have the JSON names of the API, e.g. http.retryInterval, so that the
// violations of a service are shown beside them.
type Form struct {
	Values url.Values
	// Faults are the faults in the order of detection.
	Faults []Fault
	// Notice is a fault of the whole form.
	Notice string
	// Conflict reports that someone else saved in the meantime.
	Conflict bool
	// labels are the labels of the rendered fields.
	labels map[string]string
	files  map[string][]*multipart.FileHeader
}

// Fault is a fault of a field.
type Fault struct{ Field, Text string }

// NewForm returns a form with values.
func NewForm(values map[string]string) *Form {
	f := &Form{Values: url.Values{}}
	for name, value := range values {
		f.Values.Set(name, value)
	}
	return f
}

// fileMemory is the memory limit of uploaded files. Forms are smaller.
const fileMemory = 4 << 20

// Input parses the form of the request.
func (r *Request) Input() (*Form, error) {
	// ParseMultipartForm alone drops the errors of ParseForm for other bodies.
	err := r.ParseForm()
	if err == nil {
		if err = r.ParseMultipartForm(fileMemory); errors.Is(err, http.ErrNotMultipart) {
			err = nil
		}
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, large
	case err != nil:
		return nil, Fail(http.StatusBadRequest, "Incomplete form", "Submit the form again.")
	}
	f := &Form{Values: r.PostForm}
	if r.MultipartForm != nil {
		f.files = r.MultipartForm.File
	}
	return f, nil
}

// Get returns the trimmed value of a field.
func (f *Form) Get(name string) string { return strings.TrimSpace(f.Values.Get(name)) }

// Raw returns the value of a field.
func (f *Form) Raw(name string) string { return f.Values.Get(name) }

// All returns all values of a field.
func (f *Form) All(name string) []string { return f.Values[name] }

// On reports whether a checkbox is checked.
func (f *Form) On(name string) bool { v := f.Values.Get(name); return v != "" && v != "false" }

// Set sets the values of a field.
func (f *Form) Set(name string, values ...string) { f.Values[name] = values }

// Lines returns the non-empty lines of a field. Commas also separate lines.
func (f *Form) Lines(name string) []string {
	var out []string
	for _, line := range strings.FieldsFunc(f.Values.Get(name), func(r rune) bool { return r == '\n' || r == ',' || r == '\r' }) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// File returns the text of an uploaded file with a certificate or key, binary ones in PEM; empty if there is none. What can't be text is
// a fault of the field.
func (f *Form) File(name string) (string, error) {
	if len(f.files[name]) == 0 {
		return "", nil
	}
	file, err := f.files[name][0].Open()
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	b, err := io.ReadAll(file)
	if err != nil {
		return "", err
	}
	text, err := certificate.Text(b)
	if err != nil {
		f.Add(name, err.Error())
	}
	return text, nil
}

// Add adds a fault of a field.
func (f *Form) Add(field, text string) { f.Faults = append(f.Faults, Fault{field, sentence(text)}) }

// Bad reports whether the form has faults.
func (f *Form) Bad() bool { return len(f.Faults) > 0 || f.Notice != "" || f.Conflict }

// Refused adds the violations in an error to the form. It returns false for an error that belongs on the error page.
func (f *Form) Refused(err error) bool {
	for _, v := range rpc.ViolationsOf(err) {
		if v.Field == "" {
			f.Notice = sentence(v.Description)
			continue
		}
		f.Add(ofBody(v.Field), v.Description)
	}
	switch status.Code(err) {
	case codes.InvalidArgument, codes.AlreadyExists, codes.FailedPrecondition, codes.OutOfRange:
		if !f.Bad() {
			f.Notice = sentence(status.Convert(err).Message())
		}
		return true
	case codes.Aborted:
		f.Conflict = true
		return true
	default:
		return false
	}
}

// FaultOf returns the faults of a field and of its elements, e.g. of `addresses[2]` for `addresses`.
func (f *Form) FaultOf(field string) string {
	if f == nil {
		return ""
	}
	var out []string
	for _, x := range f.Faults {
		if x.Field == field || strings.HasPrefix(x.Field, field+"[") || strings.HasPrefix(x.Field, field+".") {
			out = append(out, x.Text)
		}
	}
	return strings.Join(out, " ")
}

// FieldID returns the element id of a field.
func FieldID(name string) string {
	return "f-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name)
}
