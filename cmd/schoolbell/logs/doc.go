// Package logs is what stands between the program's log and whoever reads it.
//
// In come slog's records; out go the same to another handler, without the thousandth
// repeat, and the last of them to whoever asks for them later.
//
// # Promises
//
//   - A message that is repeated without end is written a few times in a while, and then
//     once more, with how often it was repeated: nothing is left out unsaid.
//   - Memory is bounded, whatever is logged.
//   - What is logged below Info is never held back: who asks for it wants all of it.
//
// # Who runs
//
// Nobody, but a timer while something is held back. Everything may be used from any
// goroutine.
package logs
