// Package scsstore keeps Carryon's records in any store made for alexedwards/scs.
package scsstore
