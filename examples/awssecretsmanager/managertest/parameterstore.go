package managertest

import (
	"encoding/base64"
	"time"
)

// The maximum size of a parameter in bytes, by tier.
const (
	MaxStandard = 4096
	MaxAdvanced = 8192
)

type parameter struct {
	arn, value string
	number     int64
	changed    time.Time
}

// PutParameter makes the text the newest version of a SecureString parameter.
// It returns false if the text is too large for the advanced tier.
func (a *AWS) PutParameter(name, text string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(text) > MaxAdvanced {
		return false
	}
	p := a.parameters[name]
	if p == nil {
		p = &parameter{arn: arn("ssm", "parameter"+name)}
		a.parameters[name] = p
	}
	p.value, p.changed = text, time.Now()
	p.number++
	return true
}

type getParameterIn struct {
	Name           string
	WithDecryption bool
}

type getParameterOut struct {
	Parameter struct {
		ARN, DataType, Name, Type, Value string
		LastModifiedDate                 float64
		Version                          int64
	}
}

// getParameter returns the ciphertext if the caller does not request
// decryption, like the service.
func (a *AWS) getParameter(in getParameterIn) (*getParameterOut, error) {
	for name, p := range a.parameters {
		if in.Name != name && in.Name != p.arn {
			continue
		}
		var out getParameterOut
		o := &out.Parameter
		o.ARN, o.DataType, o.Name, o.Type, o.Value = p.arn, "text", name, "SecureString", p.value
		o.LastModifiedDate, o.Version = seconds(p.changed), p.number
		if !in.WithDecryption {
			o.Value = base64.StdEncoding.EncodeToString([]byte("sealed by KMS"))
		}
		return &out, nil
	}
	return nil, fault("ParameterNotFound", "Parameter %s not found.", in.Name)
}
