// Package wsserver is HTTP, WebSocket and Server-Sent Events: it asks who is there,
// opens sessions, and writes to each what the router queued for it.
//
// In come HTTP requests and the messages of the router; out go frames. The
// dashboard protocol, for authors of clients, is PROTOCOL.md beside this file, and for
// machines asyncapi.yaml and openapi.yaml. Services publish custom messages over HTTP,
// which come back through the router.
//
// # Promises
//
//   - Only an active person of a role that may connect gets past the upgrade; everybody
//     else is refused with a code that says why.
//   - Every close is announced: a disconnect message, then the close code.
//   - A credential that the LMS took back, or that has expired, ends its sessions:
//     within Config.Recheck, and within a second of its own end. A database that
//     cannot be asked ends nobody's.
//   - One client's floods, silence or malformed frames close that client only.
//   - An address that shows bad credentials costs the LMS's database a bounded number of
//     questions, and locks nobody out who has a good one (limits.go).
//   - A session ends with its credential, unless a newer one of the same person was
//     handed in before.
//   - A cursor is never ahead of what was written before it; nor is the id of an event
//     of a stream.
//   - A stream is the same session as a socket's, with other frames (wire.go): the same
//     messages, rights, limits and ends.
//   - The answer to another filter stands in order with the events.
//   - New limits count for who comes next, and close nobody (Reload).
//   - Nothing here waits for a client, except a goroutine that writes to it alone.
//   - No credential is ever logged: of an address only the path is. Nothing of what is
//     published is, either.
//   - What was published is answered when it is durable; published again under the same
//     key of idempotency it is told once.
//   - The gateway's own client, which checks the line, hears what the gateway emitted and
//     nothing else, is nobody's and is counted nowhere (listen.go).
//   - /healthz fails where only a restart helps (pulse.go).
//
// # Who runs
//
// Run is the wheel: one goroutine for all heartbeats and metrics, and one that asks
// whether credentials still hold. Each session has one goroutine
// that reads; the HTTP handler has returned by then, but for a stream over HTTP/2. While
// there is something to write, as many goroutines as there are cores write it, and one
// more for each client that does not take it at once (flush.go). Drain ends them all and
// waits for them.
//
// One goroutine at a time writes to a session. What the WebSocket library wants to write
// (a pong to a ping frame) passes through the same queue, so frames never mix.
package wsserver
