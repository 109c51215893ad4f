package sqlstore

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// This package must not import the drivers. PostgreSQL's errors have a method
// that returns the code; the errors of MySQL's and SQLite's drivers contain it
// in their text.

// sqlState returns the PostgreSQL code of an error, or "".
func sqlState(err error) string {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState()
	}
	return ""
}

// isMySQL reports whether an error is a MySQL error with one of the numbers.
func isMySQL(err error, numbers ...int) bool {
	if err == nil || sqlState(err) != "" {
		return false
	}
	_, rest, found := strings.Cut(err.Error(), "Error ")
	if !found {
		return false
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	n, err := strconv.Atoi(rest[:max(end, 0)])
	return err == nil && slices.Contains(numbers, n)
}

// MySQL's numbers.
const (
	myDuplicateEntry  = 1062 // duplicate value for a unique key
	myRecordChanged   = 1020 // MariaDB: the record changed since the transaction's snapshot
	myLockWait        = 1205 // lock wait timeout exceeded
	myDeadlock        = 1213
	myUnknownStmt     = 1243 // unknown prepared statement handler
	myNotPreparable   = 1295 // not supported in the prepared statement protocol
	myTooManyPrepared = 1461 // max_prepared_stmt_count
	myRePrepare       = 1615
	myDuplicateIndex  = 1061
	myTableExists     = 1050
	myNoTable         = 1146
	myDenied          = 1142
)

// isAborted reports whether the engine aborted a statement because of another
// one: a deadlock or a serialization failure.
func isAborted(err error) bool {
	switch sqlState(err) {
	case "40001", "40P01":
		return true
	}
	return isMySQL(err, myDeadlock, myRecordChanged, myLockWait)
}

// lostStatement reports whether the server does not know a prepared statement,
// for example because a pooler changed the connection.
func lostStatement(err error) bool { return isMySQL(err, myUnknownStmt, myRePrepare) }

// cannotPrepare reports whether the server cannot prepare this statement, or
// any more statements.
func cannotPrepare(err error) bool { return isMySQL(err, myNotPreparable, myTooManyPrepared) }

// duplicate reports whether an insert failed because a record with its key
// exists.
func duplicate(err error) bool { return isMySQL(err, myDuplicateEntry) }

// isTransient reports whether DDL failed because of concurrent sessions: they
// hold a lock or create the same objects.
func isTransient(err error) bool {
	switch sqlState(err) {
	case "55P03", // lock_not_available
		"23505", "42P07", "42710", "42P06": // another replica has created it
		return true
	}
	text := err.Error()
	return isAborted(err) || isMySQL(err, myDuplicateIndex, myTableExists) ||
		strings.Contains(text, "tuple concurrently updated") || // PostgreSQL, XX000
		strings.Contains(text, "SQLITE_BUSY") || strings.Contains(text, "already exists")
}
