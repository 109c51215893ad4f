package secrets

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/external-secrets/external-secrets/pkg/constants" // keeps the module, whose schemas the test reads
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/carryon-go/carryon/keyring"
)

// The manifests of docs/secrets.md fit the schemas that the cluster checks, and
// each other.
func TestManifests(t *testing.T) {
	found := map[string][]byte{}
	for _, block := range blocks(t, "yaml") {
		var kind struct{ Kind string }
		require.NoError(t, yaml.Unmarshal([]byte(block), &kind))
		require.NotContains(t, found, kind.Kind)
		found[kind.Kind] = []byte(block)
	}
	require.Len(t, found, 3)
	var pod corev1.Pod
	require.NoError(t, yaml.UnmarshalStrict(found["Pod"], &pod))
	for kind, file := range map[string]string{"ExternalSecret": "externalsecrets", "SecretStore": "secretstores"} {
		require.Empty(t, schemaOf(t, file).faults(parse(t, found[kind]), kind))
	}

	volume := pod.Spec.Volumes[0].Secret
	require.EqualValues(t, 0o440, *volume.DefaultMode)
	require.True(t, *pod.Spec.SecurityContext.RunAsNonRoot)
	mount := pod.Spec.Containers[0].VolumeMounts[0]
	require.Equal(t, pod.Spec.Volumes[0].Name, mount.Name)
	require.Empty(t, mount.SubPath)
	shown := strings.Join(blocks(t, "go"), "\n")

	secret, store := parse(t, found["ExternalSecret"]), parse(t, found["SecretStore"])
	spec := secret["spec"].(map[string]any)
	data := spec["data"].([]any)[0].(map[string]any)
	require.Equal(t, volume.SecretName, spec["target"].(map[string]any)["name"])
	require.Contains(t, shown, `keyring.DangerouslyGroupReadableFile("`+mount.MountPath+"/"+data["secretKey"].(string)+`")`)
	require.Equal(t, map[string]any{"kind": "SecretStore", "name": store["metadata"].(map[string]any)["name"]}, spec["secretStoreRef"])
	vault := store["spec"].(map[string]any)["provider"].(map[string]any)["vault"].(map[string]any)
	require.Equal(t, "v2", vault["version"])
	require.Contains(t, strings.Join(blocks(t, "sh"), "\n"), fmt.Sprintf("vault kv get -mount=%s -field=%s %s >",
		vault["path"], data["remoteRef"].(map[string]any)["property"], data["remoteRef"].(map[string]any)["key"]))

	// Kubernetes takes up to two minutes more to replace the mounted file.
	every, err := time.ParseDuration(spec["refreshInterval"].(string))
	require.NoError(t, err)
	require.Less(t, every+2*time.Minute, keyring.DefaultActivateIn/2)
}

// A manifest with a fault does not pass.
func TestSchemaFindsFaults(t *testing.T) {
	s := schemaOf(t, "externalsecrets")
	for _, block := range blocks(t, "yaml") {
		if !strings.Contains(block, "kind: ExternalSecret") {
			continue
		}
		for old, new := range map[string]string{
			"refreshInterval": "refreshinterval", "1m0s": "[60]", "name: vault": "namespaces: vault", "secretKey: session": "secretkey: session",
			"kind: SecretStore": "kind: Store", "key: session-keys\n": "name: session-keys\n",
		} {
			require.Contains(t, block, old)
			require.NotEmpty(t, s.faults(parse(t, []byte(strings.Replace(block, old, new, 1))), "ExternalSecret"), new)
		}
		return
	}
	require.Fail(t, "docs/secrets.md has no ExternalSecret")
}

func parse(t *testing.T, text []byte) (value map[string]any) {
	require.NoError(t, yaml.UnmarshalStrict(text, &value))
	return value
}

// A schema is the part of OpenAPI that custom resources use.
type schema struct {
	Type       string
	Properties map[string]*schema
	Required   []string
	Items      *schema
	Enum       []any
	Additional json.RawMessage `json:"additionalProperties"`
}

// schemaOf returns the schema of version 1 of a resource of the External
// Secrets Operator, from the operator's own module.
func schemaOf(t *testing.T, plural string) *schema {
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/external-secrets/external-secrets")
	dir, err := list.Output()
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(string(bytes.TrimSpace(dir)), "config", "crds", "bases", "external-secrets.io_"+plural+".yaml"))
	require.NoError(t, err)
	var definition struct {
		Spec struct {
			Versions []struct {
				Name   string
				Served bool
				Schema struct{ OpenAPIV3Schema *schema }
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &definition))
	for _, v := range definition.Spec.Versions {
		if v.Name == "v1" && v.Served {
			return v.Schema.OpenAPIV3Schema
		}
	}
	require.Fail(t, "the operator has no version 1 of "+plural)
	return nil
}

// faults returns what the schema refuses in a value, each with its place.
func (s *schema) faults(value any, at string) (found []string) {
	switch v := value.(type) {
	case map[string]any:
		if s.Type != "object" {
			return []string{at + " must be " + s.Type}
		}
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				found = append(found, at+" lacks "+name)
			}
		}
		for name, member := range v {
			if p := s.Properties[name]; p != nil {
				found = append(found, p.faults(member, at+"."+name)...)
			} else if s.Additional == nil && s.Properties != nil {
				found = append(found, at+" does not have "+name)
			}
		}
	case []any:
		if s.Type != "array" {
			return []string{at + " must be " + s.Type}
		}
		for i, member := range v {
			found = append(found, s.Items.faults(member, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case string:
		if s.Type != "string" || len(s.Enum) > 0 && !slices.Contains(s.Enum, value) {
			return []string{at + " is not allowed"}
		}
	default:
		if s.Type == "string" || s.Type == "object" || s.Type == "array" {
			return []string{at + " must be " + s.Type}
		}
	}
	return found
}
