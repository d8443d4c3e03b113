// Package audit is the record of who did what with card data.
//
// An operation, allowed or refused, becomes an [Entry]. A replica's one writer
// appends it to that replica's [Chain]: the entry gets the next number, a time
// that never runs backwards and the hash of the entry before. What a store keeps
// is the [Record]: the entry's body in canonical JSON, and four columns derived
// from it to search by.
//
// Invariants:
//
//   - An entry has exactly one body. [Parse] accepts a body only where
//     [Entry.Encode] of what was read gives the same bytes, so that nothing can be
//     changed in a body that its hash does not show.
//   - The link from one entry to the next is the RFC 6962 leaf hash of the body.
//     The Merkle tree over all replicas' entries has the same hashes as leaves, and
//     a body alone proves both its places.
//   - A body is one line of at most [MaxBody] bytes, whatever the entry holds: it
//     fits an entry bundle of C2SP tlog-tiles and a line of a JSON Lines file.
//   - There is no field for a PAN, a token, a fingerprint or a caller's free text.
//
// The package is pure: it neither reads a clock nor stores anything.
package audit
