package oidc_test

// replicaVariable holds the settings of a replica that is a process.
const replicaVariable = "CARRYON_OIDC_REPLICA"

func runReplica(string) int { return 1 }
