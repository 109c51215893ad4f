package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// A Record is a line of JSON, written by cmd/compare and read by cmd/tables.
// Kind says which fields are set.
type Record struct {
	Kind string `json:"kind"` // "run", "cell" or "capacity"

	Run *Run `json:"run,omitempty"` // the whole run; on the first line

	Scenario   Scenario `json:"scenario,omitempty"`
	Size       Size     `json:"size,omitempty"` // of the JSON; for a capacity, the largest size that fits, or 0
	Contestant string   `json:"contestant,omitempty"`
	Missing    string   `json:"missing,omitempty"` // why a cell has no figures

	*Sample `json:",omitempty"` // medians of the rounds
	CPUMin  float64             `json:"cpu_min_ns,omitempty"` // in the best round
	Wire    int                 `json:"wire_bytes,omitempty"` // session cookies in a request
}

// A Run describes where and how the figures were measured.
type Run struct {
	Date     string            `json:"date"`
	Go       string            `json:"go"`
	Platform string            `json:"platform"`
	CPU      string            `json:"cpu"`
	Procs    int               `json:"procs"`
	Rounds   int               `json:"rounds"`
	Each     string            `json:"each"`
	Modules  map[string]string `json:"modules"`
}

// NewRun describes this process.
func NewRun(rounds int, each time.Duration) *Run {
	return &Run{
		Date: time.Now().UTC().Format(time.DateOnly), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		CPU: processor(), Procs: runtime.GOMAXPROCS(0), Rounds: rounds, Each: each.String(), Modules: modules(),
	}
}

// measured lists the modules whose versions are reported.
var measured = []string{
	"github.com/gorilla/sessions", "github.com/gorilla/securecookie", "github.com/alexedwards/scs/v2",
	"github.com/gin-gonic/gin", "github.com/gin-contrib/sessions", "github.com/labstack/echo/v4",
	"github.com/labstack/echo-contrib", "github.com/gofiber/fiber/v3", "github.com/valyala/fasthttp",
	"github.com/golang-jwt/jwt/v5", "github.com/go-jose/go-jose/v4", "golang.org/x/crypto",
	"github.com/klauspost/compress", "github.com/redis/go-redis/v9",
}

func modules() map[string]string {
	all := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return all
	}
	for _, m := range info.Deps {
		for _, path := range measured {
			if m.Path == path {
				all[path] = m.Version
			}
		}
	}
	return all
}

// processor returns the name of the CPU on Linux, and "" elsewhere.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// ReadRecords reads the lines of one or more runs.
func ReadRecords(from io.Reader) ([]Record, error) {
	var all []Record
	for d := json.NewDecoder(from); ; {
		var r Record
		err := d.Decode(&r)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("bench: record %d is not a record of cmd/compare: %w", len(all)+1, err)
		}
		all = append(all, r)
	}
}
