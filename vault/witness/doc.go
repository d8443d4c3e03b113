// Package witness keeps a log from showing different people different trees. Both
// ends of the C2SP tlog-witness protocol are here: the [Server] that another team
// runs, and the [Client] that a log asks with.
//
// A witness remembers, for each log, the last tree it vouched for. It signs the
// next one only where a proof shows that it extends that tree. Whoever trusts the
// witness and sees its cosignature knows that there is one log: a log that was
// rolled back or forked gets no more of them.
//
// Invariants of the server:
//
//   - It signs nothing that its [State] does not hold. A checkpoint is durable,
//     under its final name, before the cosignature leaves.
//   - Comparing with the last tree and replacing it is one step: two requests can
//     not both extend the same tree unless one extends the other.
//   - A state that is missing, damaged, of another key, or in use by another process
//     ends the start. A witness without memory would vouch for a log that was
//     rolled back.
//
// Invariants of the client:
//
//   - A cosignature counts only where it verifies, by the key that the policy names.
//   - A witness alone cannot stop a log. That the log was forked is believed where
//     the witness shows a checkpoint that bears the log's own signature, and which
//     the log does not extend: see [ForkedError].
//
// The sources are C2SP tlog-witness, tlog-cosignature, tlog-checkpoint, tlog-policy
// and signed-note, and RFC 6962.
package witness
