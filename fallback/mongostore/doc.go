// Package mongostore keeps Carryon's records in MongoDB.
package mongostore
