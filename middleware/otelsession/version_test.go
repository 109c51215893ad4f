package otelsession

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionIsThatOfTheModule(t *testing.T) {
	core := &debug.Module{Path: "github.com/carryon-go/carryon", Version: "v1.9.0"}
	for _, tt := range []struct {
		info *debug.BuildInfo
		want string
	}{
		{nil, "(devel)"},
		{&debug.BuildInfo{Main: *core}, "(devel)"},
		{&debug.BuildInfo{Deps: []*debug.Module{core, {Path: ScopeName, Version: "v1.2.3"}}}, "v1.2.3"},
		{&debug.BuildInfo{Main: debug.Module{Path: ScopeName, Version: "v1.2.3"}, Deps: []*debug.Module{core}}, "v1.2.3"},
		{&debug.BuildInfo{Main: debug.Module{Path: ScopeName}}, "(devel)"},
		{&debug.BuildInfo{Deps: []*debug.Module{{Path: ScopeName, Version: "v1.2.3", Replace: &debug.Module{Path: "../.."}}}}, "(devel)"},
		{&debug.BuildInfo{Deps: []*debug.Module{{Path: ScopeName, Version: "v1.2.3", Replace: &debug.Module{Path: "example.com/fork", Version: "v1.2.4"}}}}, "v1.2.4"},
	} {
		require.Equal(t, tt.want, versionIn(tt.info))
	}
}
