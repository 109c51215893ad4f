// Package managertest tests the programs that keep their key ring in a secret
// manager: servers on this machine that speak the few calls of AWS Secrets
// Manager and of AWS Parameter Store that the programs make, as documented, and
// check each request's form and signature; and a story, [Follow], that each
// program lives through as a process of its own.
package managertest
