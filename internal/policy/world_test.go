package policy_test

import (
	"github.com/carryon-go/carryon/internal/policy"
	"github.com/carryon-go/carryon/internal/state"
)

const (
	second = 1000
	minute = 60 * second
	hour   = 60 * minute
)

// world is one set of parameters of the model: limits, requests and disturbances.
type world struct {
	name     string
	limits   policy.Limits
	entries  int // number of entries that requests write
	sizes    []int
	stable   bool           // each entry always has the same size
	ops      map[string]int // weights
	burst    int            // most requests that are sometimes sent at once
	slow     int64          // ms, the longest response; at most Window
	quick    bool           // most responses land within seconds
	pause    int64          // ms, the longest time between requests
	skew     int64          // ms, the largest error of the replicas' clocks
	store    bool
	mode     policy.Mode
	idle     int64 // ms, the idle timeout; 0 for practically none
	lifetime int64 // ms; 0 for a day
	rings    bool  // some replicas do not have the key of some cookies
	others   int   // most bytes of other cookies, which come and go
	evict    int   // one in this many steps loses cookies or restores old ones
	bounded  bool  // the header never exceeds its limit
	clean    bool  // small values at the end of the run remove all surplus pieces
	serial   bool  // each request begins after the last has landed, and none is refused
	begin    bool  // the session begins with all entries
	steps    int   // number of steps of a run; 0 for 120
	weight   int   // runs in percent of -model.runs; 0 for 100
}

func limitsOf(request, response int) policy.Limits {
	return policy.Limits{Cookies: 20, RequestBytes: request, ResponseBytes: response, SetCookieLines: 40}
}

var (
	limits8K  = limitsOf(8000, 60_000)
	limits32K = limitsOf(32_400, 32_000)
	small     = []int{10, 40, 120}
)

// presets are the limits of some platforms.
var presets = map[string]policy.Limits{
	"apigateway": limitsOf(7500, 7500),
	"nginx":      limitsOf(8000, 3200),
	"apache":     limits8K,
	"alb":        limitsOf(15_500, 28_000),
	"cloudrun":   limitsOf(14_000, 14_000),
	"default":    limits32K,
}

var worlds = []world{
	{name: "few", limits: limits8K, entries: 4, sizes: small, ops: map[string]int{"set": 10, "delete": 2, "read": 3}, slow: state.Window, quick: true, pause: 3 * minute, skew: state.Skew, bounded: true},
	{name: "crowd", limits: limits8K, entries: 5, sizes: small, ops: map[string]int{"set": 10, "read": 3}, burst: 60, slow: state.Window, pause: minute, skew: state.Skew, bounded: true, weight: 40},
	{name: "late", limits: limits8K, entries: 3, sizes: small, ops: map[string]int{"set": 10, "delete": 3, "clear": 1, "read": 2}, burst: 6, slow: state.Window, pause: 10 * minute, skew: state.Skew, bounded: true},
	{name: "folds", limits: limits32K, entries: 6, sizes: small, ops: map[string]int{"set": 10, "delete": 1, "clear": 1, "touch": 3}, burst: 5, slow: state.Window, pause: 8 * minute, skew: state.Skew, bounded: true, idle: 1 << 40},
	{name: "logins", limits: limits32K, entries: 3, sizes: small, ops: map[string]int{"set": 10, "login": 2, "logout": 2, "renew": 2, "read": 3}, burst: 6, slow: state.Window, pause: 4 * minute, skew: state.Skew, bounded: true},
	{name: "first", limits: limits8K, entries: 3, sizes: small, ops: map[string]int{"set": 4, "logout": 1, "read": 1}, burst: 40, slow: 30 * second, pause: minute, skew: state.Skew, bounded: true},
	{name: "large", limits: limits32K, entries: 4, sizes: []int{20, 900, 3000}, ops: map[string]int{"set": 10, "read": 3, "delete": 1}, burst: 6, slow: state.Window, quick: true, pause: 5 * minute, skew: state.Skew, begin: true},
	{name: "token", limits: limits8K, entries: 3, sizes: []int{20, 60}, ops: map[string]int{"set": 10, "refresh": 4, "read": 3}, burst: 6, slow: state.Window, quick: true, pause: 5 * minute, skew: state.Skew, begin: true, bounded: true},
	{name: "pieces", limits: limits32K, entries: 3, sizes: []int{20, 3000, 7000}, ops: map[string]int{"set": 10, "delete": 1, "read": 3}, burst: 4, slow: state.Window, quick: true, pause: 5 * minute, skew: state.Skew, clean: true},
	{name: "full", limits: limits8K, entries: 45, sizes: small, ops: map[string]int{"set": 10, "delete": 1, "read": 2}, burst: 60, slow: 20 * second, quick: true, pause: minute, skew: state.Skew, begin: true, bounded: true, weight: 15},
	{name: "full touches", limits: limits8K, entries: 45, sizes: small, ops: map[string]int{"set": 5, "touch": 6}, burst: 4, slow: state.Window, quick: true, pause: 4 * minute, skew: state.Skew, begin: true, bounded: true, idle: 1 << 40, weight: 50},
	{name: "swell", limits: limits8K, entries: 3, sizes: []int{20, 400, 2500}, ops: map[string]int{"set": 5, "touch": 6, "delete": 1}, burst: 3, slow: state.Window, quick: true, pause: 6 * minute, skew: state.Skew, begin: true, idle: 1 << 40},
	{name: "serial", limits: limits8K, entries: 40, sizes: []int{10, 40}, ops: map[string]int{"set": 10, "delete": 2}, pause: 20 * second, serial: true, bounded: true},
	{name: "touches", limits: limits8K, entries: 3, sizes: small, ops: map[string]int{"set": 3, "touch": 10}, burst: 20, slow: state.Window, pause: 20 * minute, skew: state.Skew, bounded: true, idle: 1 << 40},
	{name: "idle", limits: limits8K, entries: 5, sizes: small, ops: map[string]int{"set": 2, "touch": 10, "terms": 1, "renew": 1}, burst: 3, slow: state.Window, quick: true, pause: 25 * minute, skew: state.Skew, bounded: true, idle: hour, lifetime: 6 * hour},
	{name: "idle large", limits: limits8K, entries: 2, sizes: []int{2600, 20}, ops: map[string]int{"set": 1, "touch": 40, "renew": 4}, burst: 3, slow: state.Window, quick: true, pause: 25 * minute, skew: state.Skew, begin: true, stable: true, idle: hour, lifetime: 12 * hour},
	{name: "rings", limits: limits8K, entries: 4, sizes: small, ops: map[string]int{"set": 10, "delete": 2, "touch": 3, "login": 1, "logout": 1}, burst: 4, slow: state.Window, quick: true, pause: 5 * minute, skew: state.Skew, rings: true, bounded: true, idle: 1 << 40},
	{name: "others", limits: limits8K, entries: 6, sizes: small, ops: map[string]int{"set": 10, "delete": 1, "login": 2, "logout": 1, "read": 2}, burst: 8, slow: 30 * second, pause: 2 * minute, skew: state.Skew, others: 2500, bounded: true},
	{name: "store", limits: limits8K, entries: 4, sizes: []int{20, 200, 2500}, ops: map[string]int{"set": 10, "delete": 2, "read": 3}, burst: 6, slow: state.Window, quick: true, pause: 5 * minute, skew: state.Skew, store: true, mode: policy.Auto},
	{name: "store returns", limits: limits8K, entries: 4, sizes: []int{20, 20, 3500}, ops: map[string]int{"set": 10, "delete": 2}, burst: 3, pause: 2 * minute, slow: state.Window, quick: true, skew: state.Skew, store: true, mode: policy.Auto, begin: true},
	{name: "stored", limits: limits8K, entries: 4, sizes: small, ops: map[string]int{"set": 10, "delete": 2, "read": 3, "clear": 1, "logout": 1}, burst: 60, slow: state.Window, pause: 5 * minute, skew: state.Skew, store: true, mode: policy.StoredOnly, bounded: true, weight: 60},
	{name: "stored idle", limits: limits8K, entries: 3, sizes: small, ops: map[string]int{"set": 2, "touch": 10, "renew": 1}, burst: 3, slow: state.Window, quick: true, pause: 25 * minute, skew: state.Skew, store: true, mode: policy.StoredOnly, bounded: true, idle: hour, lifetime: 12 * hour},
	{name: "eviction", limits: limits32K, entries: 4, sizes: small, ops: map[string]int{"set": 10, "delete": 2, "read": 6}, slow: state.Window, pause: 5 * minute, skew: state.Skew, evict: 12},
	{name: "eviction folds", limits: limits32K, entries: 9, sizes: small, ops: map[string]int{"set": 10, "delete": 3, "read": 3}, slow: 20 * second, pause: 5 * minute, skew: state.Skew, evict: 40, steps: 240},
	{name: "eviction large", limits: limits32K, entries: 4, sizes: []int{20, 900}, ops: map[string]int{"set": 10, "delete": 2, "read": 6}, slow: state.Window, pause: 8 * minute, skew: state.Skew, evict: 12, begin: true},
}
