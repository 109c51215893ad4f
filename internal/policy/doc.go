// Package policy decides what a response does to the visitor's cookies and to
// the session's record.
//
// [Decide] is a pure function of what the request brought, what the handler
// did, and the limits. The rules are those of SPEC.md, section "Writing". A
// write takes the first of these forms that fits:
//
//   - cells: one cookie for each entry written, beside what is there. Writes to
//     different entries do not meet.
//   - whole: the whole session in one head. Of writes that overlap, the last
//     response counts.
//   - the store: the whole session in a record, and a reference in the cookies.
package policy
