// Package ship delivers the audit log to where auditors read: files, syslog,
// Kafka, a webhook. Every entry reaches every sink at least once and in order of
// index, whatever fails on the way and however often the process dies.
//
// Invariants:
//
//   - Nothing is delivered that is not proven. A window of entries leaves for a
//     sink after its leaf hashes, on top of those of everything before it, gave the
//     root of a checkpoint that the log's key signed, or a tree that a consistency
//     proof puts at the beginning of one. A log that does not fit stops everything
//     with ErrForged. Before a stream is read, the log has to prove that it begins
//     with what was delivered.
//   - A sink's cursor moves after the sink has acknowledged, and is durable before
//     the next window leaves. What lies between, a crash delivers again: receivers
//     may see entries twice, each time followed by its successors, and tell them by
//     their index.
//   - Sinks know nothing of each other. Each has its own stream of the log, its own
//     proof of it, its own cursor and its own retries.
//
// Why a stream for each sink: one reader for all would have to hold what the
// slowest has not taken, which is without bound, or wait for it, which stalls the
// others, or fall back to a stream of its own for the one that fell behind, which
// is this with a second way to go wrong. The price is that the server reads its
// log once for each sink. A stream that is not read costs the server one blocked
// send; where a delivery fails, its stream is closed until the sink takes entries
// again. Memory is bounded by a few windows for each sink, of at most a
// thousand entries and about 4 MiB.
//
// One more stream, which starts at the end of the log, sees how long the log is:
// a sink that does not move cannot say how far it is behind.
package ship
