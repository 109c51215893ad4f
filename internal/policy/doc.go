// Package policy decides which cookies a response sets and expires, and which record
// it saves.
//
// [Decide] is a pure function of the request's session, the handler's changes and
// the limits. SPEC.md, section "Writing", defines the rules. A write takes the first
// of these forms that fits:
//
//   - cells: one cookie for each entry that is written. The other cookies stay.
//     Writes to different entries do not conflict.
//   - whole: the whole session in one head. Of overlapping writes, the one that
//     lands last counts.
//   - the store: the whole session in a record, and a reference in the cookies.
package policy
