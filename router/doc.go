// Package router sends each event to the groups that may see it, and remembers
// enough for a client that comes back to catch up.
//
// In come batches of events in commit order, each with its audience, and the
// people whose rights changed. Out go messages, encoded once for all receivers,
// into one queue per subscription; a subscription that resumes first reads what
// it missed from the history.
//
// # Promises
//
//   - A subscription sees events in commit order, each one once, even when two
//     of its groups receive the same event.
//   - Subscribe is atomic: what it replays and what then arrives leave no gap
//     and overlap nowhere.
//   - Publish never waits for a subscriber. One that falls behind is closed
//     with ErrSlow; it reconnects and resumes from its last position.
//   - What was taken from somebody is taken before any later event: rights
//     change first, then the batch's events are sent.
//   - What cannot be given is said: a gap message stands in its place.
//   - A filter only leaves out, before the queue and from the history. Where it is
//     changed an answer stands among the events: before it they are chosen by the
//     filter before, behind it by the new one; none comes twice.
//   - An echo, which the gateway emitted itself, is for who listens for echoes alone, and
//     they hear nothing else.
//
// # Who runs
//
// The router starts no goroutines. One goroutine at a time calls Start, Publish
// and Advance; any goroutine may call the rest. A subscription is drained by
// one goroutine at a time, which does the replay's reading, at its own pace and
// outside every lock.
package router
