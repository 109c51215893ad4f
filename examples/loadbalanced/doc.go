// Package loadbalanced tests run.sh, which starts nginx in front of three
// replicas of the playground.
package loadbalanced
