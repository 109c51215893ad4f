// Package bench measures what a session costs on a request, beside the
// cryptography it cannot do without (the floors) and beside other libraries.
//
// A [Contestant] builds a [Site]: the handlers a request can meet. A [Rig] is
// one site in one [Scenario] with a session of one size, ready to be run again
// and again; it is checked for right answers before anything is timed. The
// benchmarks and cmd/compare walk the same table of scenario x size x contestant.
//
//	go test -bench . ./bench
//	go run ./bench/cmd/compare | go run ./bench/cmd/tables
package bench
