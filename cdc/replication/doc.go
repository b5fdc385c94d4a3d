// Package replication owns the slot: it checks the server, takes the snapshot,
// follows the log and confirms what was applied.
//
// In come PostgreSQL's answers on one replication connection; out go the database,
// whole, once (cdc.Snapshot), then every committed transaction (*cdc.Tx), pulled by
// a Sink. What pgoutput's messages say is pgoutput's business, what a row means is
// the profile's.
//
// # The order of a first start
//
//	check the server, the tables and the publication      (a slot decodes with the catalogue of its birth)
//	make the slot, exporting its snapshot                  (the connection then stays idle: its next command ends the snapshot)
//	read the tables in that snapshot on a second connection ──▶ Sink.Reset, durable when it returns
//	follow the log from the slot's consistent point        (the first connection again)
//
// What fails before Reset has returned drops the slot and begins again: a snapshot
// cannot be had twice.
//
// # When the log does not continue
//
// Every connection first compares the server with where the sink stands: identifier,
// database, timeline, end of the log, slot, and the lineage of publication and tables.
// Where the log does not continue there, the order above is gone through again, over
// what the sink has: it compares. While following, three things tell the same: the log
// describes a table that is not ours under the name of one that is, what is sent a
// second time is not what was sent the first time (the server was set back and written
// on), and Watch sees another lineage. The stream then ends before anything wrong is
// applied, and the next connection finds the same.
//
//	connect ──▶ it continues ──────────────▶ follow the log ──▶ connect
//	   │                                         ▲
//	   ├──▶ it does not ──▶ drop our slot ──▶ slot, snapshot, Sink.Reset
//	   │                        │ too many within the hour
//	   │                        ▼
//	   └──▶ another server, something wrong, slot in use ──▶ wait, and say why ──▶ connect
//
// A loss that has to wait until something is put right, or until an upgrade of the LMS is
// over, gives the slot back first: what it would hold is of no more use.
//
// Positions are ours: the server's own, and an offset that grows where a server counts
// from lower than the one before. What is written to the server or read by a DBA is the
// server's own; the types cdc.LSN and serverLSN keep the two apart.
//
// # Promises
//
//   - A first start under load loses nothing and doubles nothing.
//   - The sink gets whole transactions in commit order, each one once, through lost
//     connections and restarts of the server; what was rolled back never comes.
//   - A transaction of any size passes in bounded memory: its changes are read from
//     the connection while the sink pulls them.
//   - Nothing is confirmed that Sync did not answer for.
//   - The loss of the slot, of the server or of a part of the log is noticed, and costs a
//     snapshot: the sink again has what the database has. Positions grow in any case.
//   - A table that changes under way is read right or not at all. Optional columns that
//     vanish are done without; before anything that would be misread the stream ends, and
//     the tables are compared once all is right.
//   - Where the log does not tell who may see what, nothing is told until it does.
//   - Snapshots are rationed: what breaks the log off all the time does not make the
//     server read all tables all the time. Another server is adopted only with consent.
//   - Nobody waits for us: a keepalive is answered at once, also in the middle of a
//     transaction; a fast shutdown of the server is not delayed; a quiet publication
//     beside a busy database holds no log.
//   - The server is not made to send in small pieces what it is late with: a backlog is let
//     gather before it is read, on Linux and over TCP. Who is not behind reads at once.
//   - We do not attach to what could make the LMS's own statements fail or wait.
//   - Whatever is wrong with the server is said in one sentence with its remedy, and
//     never with the password.
//   - No input from the server panics.
//
// # Who runs
//
// Run is one goroutine: it owns the connection, and the sink runs in it. Watch is
// another, with a small connection of its own. Both belong to the caller. Status may
// be asked from anywhere. Check, Look, Init, BeginUpgrade, EndUpgrade, PlanRemoval and
// EstimateSnapshot need no Reader.
package replication
