// Package managertest tests the programs that keep their key ring in a secret
// manager. Its servers implement the few calls of AWS Secrets Manager and of
// AWS Parameter Store that the programs make, as documented, and check each
// request's form and signature. [Follow] runs a program as a separate process
// through the life of its ring.
package managertest
