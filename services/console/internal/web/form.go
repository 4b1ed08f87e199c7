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

	"github.com/outbound-events/outbound/pkg/rpc"
)

// Form is what was typed into a form, and what is wrong with it. Its fields are named like the fields of the API, in JSON's
// spelling, e.g. http.retryInterval, so that what a service finds wrong is shown beside them.
type Form struct {
	Values url.Values
	// Faults are what is wrong, in the order they were found.
	Faults []Fault
	// Notice is what is wrong with the whole.
	Notice string
	// Conflict says that somebody else saved meanwhile.
	Conflict bool
	// labels are what the page calls its fields, noted as they are rendered.
	labels map[string]string
	files  map[string][]*multipart.FileHeader
}

// Fault is what is wrong with one field.
type Fault struct{ Field, Text string }

// NewForm makes a form that shows these values.
func NewForm(values map[string]string) *Form {
	f := &Form{Values: url.Values{}}
	for name, value := range values {
		f.Values.Set(name, value)
	}
	return f
}

// fileMemory is how much of uploaded files is kept in memory; a form is not larger than that.
const fileMemory = 4 << 20

// Input reads the form that was sent.
func (r *Request) Input() (*Form, error) {
	// ParseMultipartForm alone forgets what ParseForm found wrong with a body of the other kind.
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

// Get is what was typed into a field, blanks around it cut.
func (f *Form) Get(name string) string { return strings.TrimSpace(f.Values.Get(name)) }

// Raw is what was typed into a field, as it is.
func (f *Form) Raw(name string) string { return f.Values.Get(name) }

// All is what was chosen in a field that takes several.
func (f *Form) All(name string) []string { return f.Values[name] }

// On reports whether a box was ticked.
func (f *Form) On(name string) bool { v := f.Values.Get(name); return v != "" && v != "false" }

// Set changes what a field shows.
func (f *Form) Set(name string, values ...string) { f.Values[name] = values }

// Lines are the lines of a field, empty ones left out. Commas end a line too.
func (f *Form) Lines(name string) []string {
	var out []string
	for _, line := range strings.FieldsFunc(f.Values.Get(name), func(r rune) bool { return r == '\n' || r == ',' || r == '\r' }) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// File is the text of an uploaded file, empty if there is none.
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
	return string(b), err
}

// Add notes what is wrong with a field.
func (f *Form) Add(field, text string) { f.Faults = append(f.Faults, Fault{field, sentence(text)}) }

// Bad reports whether anything is wrong.
func (f *Form) Bad() bool { return len(f.Faults) > 0 || f.Notice != "" || f.Conflict }

// Refused notes what a service found wrong, and reports whether it could be said in the form. An error that could not is for
// the error page.
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

// FaultOf is what is wrong with a field or with what lies below it, e.g. `addresses` for `addresses[2]`.
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

// FieldID is the id of a field in the page.
func FieldID(name string) string {
	return "f-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name)
}
