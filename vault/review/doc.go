// Package review reads the audit log for people: it finds entries, and counts
// what a reviewer looks at.
//
// A [Filter] picks entries. A [Report] takes every entry of a log, in any order,
// and counts those of one [Period]: full PANs given out, refusals, who called,
// what the server did by itself. [Report.Summary] returns what it found, as it is
// printed and as JSON, and [Report.WriteHTML] a page that stands alone.
//
// Invariants:
//
//   - Nothing is left out in silence. A table has room for so many keys; what has
//     none is counted in its others, and totals by day hold everything.
//   - The order of entries changes nothing, as long as the tables have room:
//     entries of several replicas stand in the log nearly in order of time, not
//     wholly.
//   - The page runs no script and loads nothing, by its own Content-Security-Policy
//     too. Names are shown with everything but printable ASCII escaped: no name can
//     end an element, turn a line around or pass for another.
//
// Counting is pure. It takes entries as they are: that they are the log's, whole
// and unchanged, is for the verification of the log to say.
package review
