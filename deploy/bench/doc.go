// Command bench measures schoolbell on a real PostgreSQL, beside what else could do
// the same work on the same machine in the same minutes.
//
//	go run ./deploy/bench -quick                 # 2 to 3 minutes: does everything run
//	go run ./deploy/bench -json figures.json     # the figures; an hour or two
//	go run ./deploy/bench -only drain,latency
//
// It starts throw-away servers, makes schools in them, builds the gateway from the
// source tree it is run in, and runs it as a process of its own. The clients are
// another process (this program, started as `client`), and so is what the gateway is
// compared with (`plain`). Out goes a table in Markdown with the targets beside the
// figures, and with -json the same with every run's figure and the machine.
//
// # How to trust it
//
//   - What is compared takes turns in one run, the first of them another one each
//     time; the figures are medians over the runs.
//   - Trust ratios of one run. The machine is looked at before each measure, and a
//     busy one is named in the output, not corrected for.
//   - Latency is between two clocks of one machine: CLOCK_REALTIME in the process
//     that commits, and in the clients' when a read has returned, before it is parsed.
//   - A measure fails where a message is missing. It never fails for being slow.
//
// One file is one measure; harness.go has what they share. It reads /proc and uses
// epoll, and so runs on Linux only.
package main
