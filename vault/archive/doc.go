// Package archive is the audit log as a folder that proves itself to whoever holds
// the log's public key, and needs nothing else: no server, no database, no secret.
//
// The folder has the layout of C2SP tlog-tiles:
//
//	checkpoint                  the signed head of the log (C2SP tlog-checkpoint)
//	tile/<L>/<N>[.p/<W>]        hashes of the Merkle tree, 256 a tile
//	tile/entries/<N>[.p/<W>]    the entries' bodies, 256 a bundle
//	log.vkey                    the keys that the exporter verified with; says which
//	                            log this is, and is never trusted
//
// An [Archive] writes it, from where it ends; [Verify] reads it.
//
// Invariants of writing:
//
//   - The folder is at any time, crashes included, the whole log at the size that
//     its checkpoint says. What lies beyond was left by an export that died, and is
//     overwritten by the next.
//   - A checkpoint is put in place only after its signature was verified, the tree
//     of what arrived was found to have its root, and every file of it is durable.
//   - A log that is shorter than the folder, or another than the folder begins with,
//     changes nothing in it.
//
// Earlier checkpoints are not kept in it: whoever can edit the folder could edit them
// as well. What a later one is to be compared with ([Options.Since]) belongs in other
// hands.
//
// Partial tiles stay until the full one is there, as tlog-tiles wants, so that a
// reader that still has the checkpoint before finds what it needs.
//
// Entries that the retention policy dropped lack their bodies: their bundle is not
// there, or has an empty body in their place. The tiles have their hashes, and prove
// all others.
package archive
