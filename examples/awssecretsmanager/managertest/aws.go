package managertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// AWS is a server that speaks the JSON protocol 1.1 of AWS for one account in
// one region. A request that is undocumented or has an invalid signature fails
// the test.
type AWS struct {
	t      testing.TB
	server *httptest.Server

	mu     sync.Mutex // guards the following fields, the secrets and the parameters
	broken bool
	fail   func(call string) error
	calls  []string

	secrets    map[string]*secret
	parameters map[string]*parameter
}

// NewAWS starts a server that ends with the test.
func NewAWS(t testing.TB) *AWS {
	a := &AWS{t: t, secrets: map[string]*secret{}, parameters: map[string]*parameter{}}
	a.server = httptest.NewServer(a)
	t.Cleanup(a.server.Close)
	return a
}

// Environment returns variables that direct a program's SDK to this server,
// with the account's credentials, and to nothing else.
func (a *AWS) Environment() []string {
	return []string{
		"AWS_ENDPOINT_URL_SECRETS_MANAGER=" + a.server.URL,
		"AWS_ENDPOINT_URL_SSM=" + a.server.URL,
		"AWS_REGION=" + Region,
		"AWS_ACCESS_KEY_ID=" + accessKey,
		"AWS_SECRET_ACCESS_KEY=" + secretKey,
		"AWS_SESSION_TOKEN=" + sessionToken,
		"AWS_CONFIG_FILE=/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// Setenv sets the variables of Environment for a program inside the test.
func (a *AWS) Setenv(t *testing.T) {
	for _, pair := range a.Environment() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
}

// Break makes the server respond to every call with an internal error, or
// stops that.
func (a *AWS) Break(broken bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.broken = broken
}

// FailCalls sets a function that decides before each call whether it fails;
// nil removes it. A failed call is not executed. Changes that f makes to the
// secrets happen before the call.
func (a *AWS) FailCalls(f func(call string) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail = f
}

// Calls returns the names of the calls since the previous use of Calls.
func (a *AWS) Calls() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	calls := a.calls
	a.calls = nil
	return calls
}

// A Fault is an error in the form of the services. Its Type is documented for
// the call, for example "ResourceNotFoundException".
type Fault struct {
	Status        int
	Type, Message string
}

// Error returns the type and the message.
func (f *Fault) Error() string { return f.Type + ": " + f.Message }

func fault(kind, format string, args ...any) error {
	return &Fault{http.StatusBadRequest, kind, fmt.Sprintf(format, args...)}
}

// Internal returns the error of a service that is down.
func Internal() error {
	return &Fault{http.StatusInternalServerError, "InternalServiceError", "An error occurred on the server side."}
}

// ServeHTTP handles one call.
func (a *AWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err == nil {
		err = checkForm(r)
	}
	target := r.Header.Get("X-Amz-Target")
	prefix, call, _ := strings.Cut(target, ".")
	service := map[string]string{"secretsmanager": "secretsmanager", "AmazonSSM": "ssm"}[prefix]
	if err == nil {
		err = checkSignature(r, body, service)
	}
	if err != nil {
		a.t.Errorf("an invalid request for %q: %v", target, err)
		answer(w, nil, &Fault{http.StatusForbidden, "InvalidSignatureException", err.Error()})
		return
	}
	out, err := a.call(service, call, body)
	answer(w, out, err)
}

func checkForm(r *http.Request) error {
	switch {
	case r.Method != http.MethodPost:
		return errors.New("the method is not POST")
	case r.URL.RequestURI() != "/":
		return errors.New("the path is not /")
	case r.Header.Get("Content-Type") != "application/x-amz-json-1.1":
		return errors.New("the content type is not application/x-amz-json-1.1")
	}
	return nil
}

func (a *AWS) call(service, call string, body []byte) (any, error) {
	if err := a.admit(call); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch service + "." + call {
	case "secretsmanager.GetSecretValue":
		return decode(a, body, a.getSecretValue)
	case "secretsmanager.DescribeSecret":
		return decode(a, body, a.describeSecret)
	case "secretsmanager.PutSecretValue":
		return decode(a, body, a.putSecretValue)
	case "secretsmanager.UpdateSecretVersionStage":
		return decode(a, body, a.updateSecretVersionStage)
	case "ssm.GetParameter":
		return decode(a, body, a.getParameter)
	}
	a.t.Errorf("the programs need no call %s of %s", call, service)
	return nil, fault("UnknownOperationException", "unknown operation")
}

// admit records a call, and returns an error if it must fail.
func (a *AWS) admit(call string) error {
	a.mu.Lock()
	a.calls = append(a.calls, call)
	broken, fail := a.broken, a.fail
	a.mu.Unlock() // fail may call methods of the server
	switch {
	case broken:
		return Internal()
	case fail != nil:
		return fail(call)
	}
	return nil
}

// decode reads a request, which may have only documented members.
func decode[In, Out any](a *AWS, body []byte, handle func(In) (Out, error)) (any, error) {
	var in In
	strict := json.NewDecoder(bytes.NewReader(body))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&in); err != nil {
		a.t.Errorf("a request with undocumented members: %v", err)
		return nil, fault("SerializationException", "%v", err)
	}
	return handle(in)
}

func answer(w http.ResponseWriter, out any, err error) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", fmt.Sprintf("%08x-7dd1-4f3a-9d4e-5a1c0c0ffee0", time.Now().Nanosecond()))
	var f *Fault
	if errors.As(err, &f) {
		w.WriteHeader(f.Status)
		json.NewEncoder(w).Encode(map[string]string{"__type": f.Type, "Message": f.Message})
		return
	}
	json.NewEncoder(w).Encode(out)
}

// seconds converts a time to the form of the services.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
