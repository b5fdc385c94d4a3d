// Package cdc holds the words that every step of schoolbell speaks: what the log
// says (LSN, Table, Value, Row, Change, Tx, Snapshot), what it means (ID, Position,
// Event, Audience), and what others publish beside it (Message).
//
// It holds no behaviour beyond reading and writing these words, and guessing which
// one was meant (Nearest); it starts nothing, and imports nothing of ours.
package cdc
