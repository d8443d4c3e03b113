// Package ledger makes one log of the chains that the replicas write, and shows
// it to its readers with proofs.
//
// Every replica has a [Ledger] and steps it every 250 ms. A step looks at the
// store's head of the log and compares it with what the replica remembers. One
// replica at a time holds the lease; its steps go on to
//
//   - sequence: take the chains' new entries, verified up to their sealed tails,
//     give them the next indexes, and extend the tiles of the tree over them: head,
//     runs and tiles are one transaction ([Store.ExtendLog]);
//   - publish: sign a checkpoint of the tree as it is stored, have it cosigned by
//     the witnesses, and put it into the head;
//   - drop the bodies of entries that are older than the retention time.
//
// Invariants:
//
//   - A checkpoint is signed only for a tree that is durable, and only where this
//     replica knows that each entry of it belongs to a sealed chain: it verified and
//     appended it itself, or an earlier checkpoint covers it, or it verified anew what
//     a sequencer before it left unsigned (vouch.go). Rows put into the log's tables
//     by hand are never signed.
//   - Trees only grow. Each tree that a replica sees is proven to begin with the one
//     that it saw before and with the published checkpoint. A store where that does not
//     hold was rolled back or forked, and the replica halts for good.
//   - Every write of the sequencer names its term. A replica that was paused and
//     wakes up in a later term writes nothing. After a write whose outcome is unknown
//     the sequencer takes a new term before it goes on, so that the write cannot land
//     behind a later one.
//   - Indexes are dense, and the entries of a chain stand in its order, each once.
//   - Nothing is shown that a published checkpoint does not cover, and no body whose
//     leaf hash is not proven by it. Hashes come from stored tiles, each of which is
//     authenticated against the checkpoint's root before it is used.
//
// A chain may have more entries waiting than fit one extension or the memory. It is
// then read to its sealed end once, keeping a waypoint (number and hash) of every
// 1024 entries; each later extension reads on from waypoint to waypoint. An entry
// is taken only where its hash leads to a waypoint, and each waypoint leads to the
// sealed tail. That costs 56 bytes of memory for each 1024 entries.
//
// Chains from before there were seals are taken whole into the first extension of
// an empty log, with 32 bytes of memory for each entry, and never later.
package ledger
