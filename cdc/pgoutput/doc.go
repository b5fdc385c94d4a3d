// Package pgoutput decodes the messages of PostgreSQL's output plugin of that
// name, protocol versions 1 and 2, values as text or binary.
//
// In comes one message at a time, as XLogData carries it. Out comes what it says:
// the borders of transactions and of streams, and row changes with their
// *cdc.Table. Who asks for the stream and in which protocol is replication's
// business; what the values mean, the profile's.
//
// # Messages
//
//	outside      Begin ──▶ in a transaction: Row, Truncate ──▶ Commit ──▶ outside
//	outside      StreamStart ──▶ in a stream: Row, Truncate ──▶ StreamStop ──▶ outside
//	outside      StreamCommit, StreamAbort
//	anywhere     Relation, Type, Origin, LogicalMessage
//
// A stream (protocol 2 only) is a piece of a transaction that still runs. Its
// messages name the sub-transaction they belong to: a StreamAbort takes back the
// rows of that one, which may be less than the transaction.
//
// # Promises
//
//   - No input panics. Every count and length is checked against the bytes that
//     remain before it is used, so a message cannot make the decoder allocate more
//     than a small multiple of its own size.
//   - A message is taken whole or refused: one that is cut short, has bytes left
//     over, stands in the wrong place or does not fit its table is an *Error, and
//     a refused message leaves the decoder as it was.
//   - A row allocates nothing: values alias the message, and the structs that
//     Decode returns are used again by the next Decode.
//   - The *cdc.Table of a row stays the same until the server describes the table
//     differently; one that was handed out never changes.
//
// A Decoder starts no goroutines and belongs to one of its caller's.
package pgoutput
