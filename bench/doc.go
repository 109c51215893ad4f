// Package bench measures what a session costs per request. It compares the
// library with bare cryptography (the floors) and with other libraries.
//
// A [Contestant] builds a [Site], which has a handler for each kind of request.
// A [Rig] combines a site, a [Scenario] and a size of the session. Before a rig
// is timed, its responses are checked. The benchmarks and cmd/compare use the
// same table of scenarios, sizes and contestants.
//
//	go test -bench . ./bench
//	go run ./bench/cmd/compare | go run ./bench/cmd/tables
package bench
