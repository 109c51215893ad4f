// Package keyring holds the keys that seal sessions, and their schedule.
package keyring
