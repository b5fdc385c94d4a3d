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
// # Promises
//
//   - A first start under load loses nothing and doubles nothing.
//   - The sink gets whole transactions in commit order, each one once, through lost
//     connections and restarts of the server; what was rolled back never comes.
//   - A transaction of any size passes in bounded memory: its changes are read from
//     the connection while the sink pulls them.
//   - Nothing is confirmed that Sync did not answer for.
//   - Nobody waits for us: a keepalive is answered at once, also in the middle of a
//     transaction; a fast shutdown of the server is not delayed; a quiet publication
//     beside a busy database holds no log.
//   - We do not attach to what could make the LMS's own statements fail or wait.
//   - Whatever is wrong with the server is said in one sentence with its remedy, and
//     never with the password.
//   - No input from the server panics.
//
// # Who runs
//
// Run is one goroutine: it owns the connection, and the sink runs in it. Watch is
// another, with a small connection of its own. Both belong to the caller. Status may
// be asked from anywhere. Check, InitSQL and Init need no Reader.
package replication
