package managertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// The account that owns the data of [AWS]. No other account has access.
const (
	Region  = "eu-central-1"
	Account = "111122223333"

	accessKey    = "AKIAIOSFODNN7EXAMPLE"
	secretKey    = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	sessionToken = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQW"
)

// checkSignature checks a request's AWS Signature Version 4. It must be made
// with the account's key, for this service and region, recently, and over the
// host, the target, the body and the session token.
func checkSignature(r *http.Request, body []byte, service string) error {
	got := r.Header.Get("Authorization")
	fields, err := authorization(got)
	if err != nil {
		return err
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || time.Since(at).Abs() > 15*time.Minute {
		return errors.New("X-Amz-Date is not a time within a quarter of an hour")
	}
	scope := fmt.Sprintf("%s/%s/%s/%s/aws4_request", accessKey, at.Format("20060102"), Region, service)
	if fields["Credential"] != scope {
		return fmt.Errorf("the credential is for %q, not for %q", fields["Credential"], scope)
	}
	signed := strings.Split(fields["SignedHeaders"], ";")
	for _, must := range []string{"host", "x-amz-date", "x-amz-security-token", "x-amz-target"} {
		if !contains(signed, must) {
			return fmt.Errorf("the header %s is not signed", must)
		}
	}
	want, err := sign(r, body, signed, service, at)
	if err == nil && got != want {
		err = errors.New("the signature does not match the request")
	}
	return err
}

// authorization parses the Authorization header.
func authorization(header string) (map[string]string, error) {
	rest, ok := strings.CutPrefix(header, "AWS4-HMAC-SHA256 ")
	if !ok {
		return nil, errors.New("the request is not signed")
	}
	fields := map[string]string{}
	for _, part := range strings.Split(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	return fields, nil
}

// sign computes the signature of the received request.
func sign(r *http.Request, body []byte, signed []string, service string, at time.Time) (string, error) {
	address := &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	again, err := http.NewRequest(r.Method, address.String(), bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	for _, name := range signed {
		if values := r.Header.Values(name); len(values) > 0 {
			again.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	sum := sha256.Sum256(body)
	who := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey, SessionToken: sessionToken}
	err = v4.NewSigner().SignHTTP(context.Background(), who, again, hex.EncodeToString(sum[:]), service, Region, at)
	return again.Header.Get("Authorization"), err
}

func contains(list []string, s string) bool {
	for _, item := range list {
		if item == s {
			return true
		}
	}
	return false
}
