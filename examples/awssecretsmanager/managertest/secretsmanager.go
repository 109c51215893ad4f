package managertest

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"time"
)

// The staging labels that Secrets Manager itself moves.
const (
	Current  = "AWSCURRENT"
	Pending  = "AWSPENDING"
	Previous = "AWSPREVIOUS"
)

// MaxSecret is the maximum size of a secret in bytes.
const MaxSecret = 65536

type secret struct {
	name, arn string
	rotated   bool // rotation is enabled
	versions  map[string]*version
}

type version struct {
	text    *string
	binary  []byte
	made    time.Time
	stages  []string
	rotator string // the RotationToken of its PutSecretValue
}

func (v *version) empty() bool { return v.text == nil && v.binary == nil }

// PutSecret makes the text the current version of the secret, like an operator
// by hand, and returns its version id.
func (a *AWS) PutSecret(name, text string) (versionID string) {
	a.t.Helper()
	return a.put(name, &version{text: &text})
}

// PutBinary is PutSecret for a binary secret.
func (a *AWS) PutBinary(name string, value []byte) (versionID string) {
	a.t.Helper()
	return a.put(name, &version{binary: value})
}

func (a *AWS) put(name string, v *version) string {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if (v.text != nil && len(*v.text) > MaxSecret) || len(v.binary) > MaxSecret {
		a.t.Fatalf("a secret has at most %d bytes", MaxSecret)
	}
	s := a.secrets[name]
	if s == nil {
		s = &secret{name: name, arn: arn("secretsmanager", "secret:"+name+"-AbCdEf"), versions: map[string]*version{}}
		a.secrets[name] = s
	}
	id := newID()
	v.made = time.Now()
	s.versions[id] = v
	s.label(Current, id)
	return id
}

func arn(service, rest string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, Region, Account, rest)
}

// ARN returns the full ARN of a secret.
func (a *AWS) ARN(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.secrets[name].arn
}

// EnableRotation enables or disables rotation of the secret.
func (a *AWS) EnableRotation(name string, on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.secrets[name].rotated = on
}

// BeginRotation does the same as RotateSecret before it calls the function: it
// generates a token, and gives AWSPENDING to a version with that id and
// without a value. It fails if an earlier rotation has left AWSPENDING behind.
func (a *AWS) BeginRotation(name string) (token string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.secrets[name]
	pending, current := s.labelled(Pending), s.labelled(Current)
	if pending != "" && pending != current {
		return "", fault("InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.")
	}
	token = newID()
	s.versions[token] = &version{made: time.Now()}
	s.label(Pending, token)
	return token, nil
}

// Version returns the version with the label and its value, or nothing if
// there is no such version with a value.
func (a *AWS) Version(name, label string) (id, value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.secrets[name]
	id = s.labelled(label)
	v := s.versions[id]
	switch {
	case v == nil || v.empty():
		return id, ""
	case v.text != nil:
		return id, *v.text
	}
	return id, string(v.binary)
}

// RotationToken returns the token with which the version was stored.
func (a *AWS) RotationToken(name, versionID string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.secrets[name].versions[versionID].rotator
}

// label moves a label. The version that loses AWSCURRENT becomes AWSPREVIOUS.
func (s *secret) label(name, to string) {
	from := s.labelled(name)
	if from == to {
		return
	}
	s.unlabel(name)
	s.versions[to].stages = append(s.versions[to].stages, name)
	if name == Current && from != "" {
		s.label(Previous, from)
	}
}

func (s *secret) unlabel(name string) {
	for _, v := range s.versions {
		v.stages = slices.DeleteFunc(v.stages, func(stage string) bool { return stage == name })
	}
}

func (s *secret) labelled(name string) (id string) {
	for id, v := range s.versions {
		if slices.Contains(v.stages, name) {
			return id
		}
	}
	return ""
}

// secret returns a secret by its name or ARN.
func (a *AWS) secret(id string) (*secret, error) {
	for _, s := range a.secrets {
		if id == s.name || id == s.arn {
			return s, nil
		}
	}
	return nil, fault("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

type getSecretValueIn struct{ SecretId, VersionId, VersionStage string }

type getSecretValueOut struct {
	ARN, Name, VersionId string
	SecretString         *string `json:",omitempty"`
	SecretBinary         []byte  `json:",omitempty"`
	VersionStages        []string
	CreatedDate          float64
}

func (a *AWS) getSecretValue(in getSecretValueIn) (*getSecretValueOut, error) {
	s, err := a.secret(in.SecretId)
	if err != nil {
		return nil, err
	}
	id, stage := in.VersionId, in.VersionStage
	if id == "" {
		if stage == "" {
			stage = Current
		}
		id = s.labelled(stage)
	}
	v := s.versions[id]
	switch {
	case v == nil || v.empty():
		return nil, fault("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %s, staging label: %s", id, stage)
	case stage != "" && !slices.Contains(v.stages, stage):
		return nil, fault("ResourceNotFoundException", "You provided a VersionStage that is not associated to the provided VersionId.")
	}
	return &getSecretValueOut{s.arn, s.name, id, v.text, v.binary, v.stages, seconds(v.made)}, nil
}

type describeSecretIn struct{ SecretId string }

type describeSecretOut struct {
	ARN, Name          string
	RotationEnabled    bool `json:",omitempty"` // absent until it was enabled once
	VersionIdsToStages map[string][]string
}

func (a *AWS) describeSecret(in describeSecretIn) (*describeSecretOut, error) {
	s, err := a.secret(in.SecretId)
	if err != nil {
		return nil, err
	}
	stages := map[string][]string{}
	for id, v := range s.versions {
		if len(v.stages) > 0 {
			stages[id] = v.stages
		}
	}
	return &describeSecretOut{s.arn, s.name, s.rotated, stages}, nil
}

type putSecretValueIn struct {
	SecretId, ClientRequestToken, RotationToken string
	SecretString                                *string
	SecretBinary                                []byte
	VersionStages                               []string
}

type putSecretValueOut struct {
	ARN, Name, VersionId string
	VersionStages        []string
}

func (a *AWS) putSecretValue(in putSecretValueIn) (*putSecretValueOut, error) {
	s, err := a.secret(in.SecretId)
	if err != nil {
		return nil, err
	}
	given := &version{text: in.SecretString, binary: in.SecretBinary, made: time.Now(), rotator: in.RotationToken}
	if err := given.check(in.ClientRequestToken); err != nil {
		return nil, err
	}
	v := s.versions[in.ClientRequestToken]
	switch {
	case v == nil:
		v = given
		s.versions[in.ClientRequestToken] = v
	case v.empty():
		v.text, v.binary, v.rotator = given.text, given.binary, given.rotator
	case !v.same(given):
		return nil, fault("ResourceExistsException", "You can't modify the value of a secret version: a version with this token exists.")
	}
	stages := in.VersionStages
	if len(stages) == 0 {
		stages = []string{Current}
	}
	for _, stage := range stages {
		s.label(stage, in.ClientRequestToken)
	}
	return &putSecretValueOut{s.arn, s.name, in.ClientRequestToken, v.stages}, nil
}

func (v *version) check(token string) error {
	switch {
	case len(token) < 32 || len(token) > 64:
		return fault("InvalidParameterException", "ClientRequestToken must have 32 to 64 characters.")
	case (v.text == nil) == (v.binary == nil):
		return fault("InvalidParameterException", "You must provide either SecretString or SecretBinary.")
	case v.text != nil && (*v.text == "" || len(*v.text) > MaxSecret), len(v.binary) > MaxSecret:
		return fault("InvalidParameterException", "The secret must have 1 to %d bytes.", MaxSecret)
	}
	return nil
}

func (v *version) same(other *version) bool {
	if v.text == nil || other.text == nil {
		return v.text == other.text && bytes.Equal(v.binary, other.binary)
	}
	return *v.text == *other.text
}

type updateStageIn struct{ SecretId, VersionStage, MoveToVersionId, RemoveFromVersionId string }

type updateStageOut struct{ ARN, Name string }

func (a *AWS) updateSecretVersionStage(in updateStageIn) (*updateStageOut, error) {
	s, err := a.secret(in.SecretId)
	if err != nil {
		return nil, err
	}
	owner := s.labelled(in.VersionStage)
	switch {
	case in.RemoveFromVersionId != owner && (in.RemoveFromVersionId != "" || owner != in.MoveToVersionId):
		return nil, fault("InvalidParameterException", "The parameter RemoveFromVersionId can't be empty or wrong: staging label %s is currently attached to version %s.", in.VersionStage, owner)
	case in.MoveToVersionId == "" && in.VersionStage == Current:
		return nil, fault("InvalidParameterException", "You can't remove the label AWSCURRENT, only move it.")
	case in.MoveToVersionId == "":
		s.unlabel(in.VersionStage)
	case s.versions[in.MoveToVersionId] == nil:
		return nil, fault("ResourceNotFoundException", "Secrets Manager can't find the specified secret version.")
	default:
		s.label(in.VersionStage, in.MoveToVersionId)
	}
	return &updateStageOut{s.arn, s.name}, nil
}

// newID returns a random version id in the form of a UUID.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// PutPending gives the pending version a value, like someone who is unaware of
// the rotation.
func (a *AWS) PutPending(name, token, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.secrets[name].versions[token].text = &text
}

// EndRotation removes AWSPENDING from the version that has become current, as
// the service may do after finishSecret.
func (a *AWS) EndRotation(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.secrets[name]; s.labelled(Pending) == s.labelled(Current) {
		s.unlabel(Pending)
	}
}
