// Package shadow is the durable store under the projection and the history: what
// we remember of the LMS's rows, the events that came of them, and how far in the
// log both reach.
//
// In go keys and values of the projection, events, and a checkpoint, gathered in
// a Batch. Out come point reads and scans of the projection's keys, the events
// between two positions, and after a restart the checkpoint.
//
// # Promises
//
//   - A batch is whole or absent. Whatever kills the process or the machine, the
//     keys, the events and the checkpoint of a batch are found together or not at
//     all, and batches are lost only from the end.
//   - What Commit has answered nil to is still there when the process was killed; what
//     Sync has answered nil to, also when the machine was.
//   - A history never shows half a transaction: events that no checkpoint covers
//     are removed by Open.
//   - Events sees one moment and never holds up a writer. An event it yields owns
//     its memory.
//   - Every event after Kept is there. Kept moves in the batch that removes. Of what
//     is not there, Lost tells what was trimmed from what this history never had.
//   - One process at a time. A second one is told which directory is in use.
//   - A disk that is full or failing ends neither the process nor the data: from
//     the first failed write on, nothing on the disk is touched any more, and
//     Commit, Sync and the reads return one sentence with the remedy.
//   - A directory that is damaged, or of another format, is refused with a LostError,
//     not repaired by guessing. What may be missing without a word is the end of the
//     log below, which looks like one that a crash cut off: whoever reads the
//     checkpoint must compare it with what was confirmed. There is never a hole
//     before what is there, and half a batch is never taken.
//   - Damage that is found later ends the store, and the next Open knows of it.
//   - Nothing is removed but by Trim and DropHistory: SetAside moves. A directory
//     that may be somebody else's is not even moved.
//   - Memory is bounded by Config, not by the size of the store. A Get into a
//     large enough buffer does not allocate, but for 16 bytes per table that Pebble
//     has to look into.
//
// # Who runs
//
// A Store may be used from any goroutine; a Batch from one at a time. Commit does
// not wait for the disk, Sync does. The goroutines that flush and compact belong
// to the key-value store (Pebble) and end with Close.
//
// # Keys
//
//	0x00 … 0xef   the projection's, as it likes
//	0xfe          history: LSN, index of the last (12 bytes, big endian) → block of events
//	0xff          format, checkpoint, kept, lost, events (how many)
//
// Beside the key-value store's files lie SCHOOLBELL, which says whose directory it
// is, and after damage DAMAGED, which says what was found.
package shadow
