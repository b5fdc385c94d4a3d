//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// measure is one of those that -only can choose.
type measure struct {
	name string
	run  func(*bench, context.Context) error
}

func measures() []measure {
	return []measure{
		{"drain", (*bench).drain},
		{"latency", (*bench).latency},
		{"commits", (*bench).commits},
		{"fanout", (*bench).fanout},
		{"idle", (*bench).idle},
		{"mixed", (*bench).mixed},
		{"snapshot", (*bench).snapshot},
	}
}

// sizes are how much of everything is done.
type sizes struct {
	Runs      int           `json:"runs"`      // of each of those that are compared
	Rows      int           `json:"rows"`      // of a backlog
	Term      int           `json:"term"`      // assignments of the school that has a backlog
	Bulk      int           `json:"bulk"`      // rows of one transaction of the second backlog
	Slice     time.Duration `json:"slice_ns"`  // of latency and commits
	Rates     []int         `json:"rates"`     // commits a second of latency
	Receivers []int         `json:"receivers"` // of latency
	Fans      []int         `json:"fans"`      // sockets that each event goes to
	Events    int           `json:"events"`    // of fan-out, one by one, in each run
	Burst     int           `json:"burst"`     // events of one transaction of fan-out
	Bursts    int           `json:"bursts"`    // in each run
	Sockets   []int         `json:"sockets"`   // idle ones
	People    int           `json:"people"`    // of mixed
	Rate      int           `json:"rate"`      // commits a second of mixed
	Mixed     time.Duration `json:"mixed_ns"`  // how long mixed lasts
	Snapshots []int         `json:"snapshots"` // submissions
	Students  int           `json:"students"`  // whose submissions they are
}

func fullSizes() sizes {
	return sizes{
		Runs: 3, Rows: 1_000_000, Term: 1000, Bulk: 1000, Slice: 20 * time.Second, Rates: []int{100, 1000}, Receivers: []int{1, 1000},
		Fans: []int{1000, 10_000}, Events: 100, Burst: 100, Bursts: 5, Sockets: []int{1000, 10_000, 20_000},
		People: 5000, Rate: 200, Mixed: 10 * time.Minute, Snapshots: []int{1_000_000, 10_000_000}, Students: 10_000,
	}
}

func quickSizes() sizes {
	return sizes{
		Runs: 1, Rows: 30_000, Term: 1000, Bulk: 1000, Slice: 2 * time.Second, Rates: []int{100, 1000}, Receivers: []int{1, 1000},
		Fans: []int{1000, 10_000}, Events: 10, Burst: 20, Bursts: 3, Sockets: []int{1000, 10_000},
		People: 5000, Rate: 200, Mixed: 20 * time.Second, Snapshots: []int{100_000}, Students: 1000,
	}
}

func main() {
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// command runs what the arguments ask for: the benchmark, or one of the processes
// that it starts.
func command(args []string) error {
	switch {
	case len(args) > 0 && args[0] == "client":
		return runClient(os.Stdin, os.Stdout)
	case len(args) > 0 && args[0] == "plain":
		return runPlain(os.Stdin, os.Stdout)
	}
	o, err := parse(args, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return benchmark(ctx, o, os.Stdout, os.Stderr)
}

// options are what the command line says.
type options struct {
	sizes
	quick    bool
	only     []string
	backlogs []string // of drain, by the names of their files; none: all
	json     string
	profiles string // folder for profiles of the gateway; "": none
}

// parse reads the command line; help goes to usage.
func parse(args []string, usage io.Writer) (options, error) {
	o := options{sizes: fullSizes(), quick: slices.Contains(args, "-quick") || slices.Contains(args, "--quick")}
	if o.quick {
		o.sizes = quickSizes() // before the others, which change single sizes of either
	}
	var names []string
	for _, m := range measures() {
		names = append(names, m.name)
	}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(io.Discard) // it would say a mistake twice, and all flags with it
	set.BoolVar(&o.quick, "quick", o.quick, "small sizes, 2 to 3 minutes in all, to see that everything runs")
	set.StringVar(&o.json, "json", "", "also write the figures to this `file`")
	set.StringVar(&o.profiles, "profiles", "", "write processor profiles of the gateway under drain and fanout to this `folder`; they cost a little")
	some(set, &o.only, "only", "measure", names)
	some(set, &o.backlogs, "backlogs", "backlog", []string{backlogRows, backlogBulk, backlogOne})
	set.IntVar(&o.Runs, "runs", o.Runs, "runs of each of those that are compared")
	set.IntVar(&o.Rows, "rows", o.Rows, "row changes of a backlog (drain)")
	set.DurationVar(&o.Slice, "slice", o.Slice, "how long each turn of latency and commits lasts")
	set.DurationVar(&o.Mixed, "mixed", o.Mixed, "how long mixed lasts")
	set.IntVar(&o.People, "people", o.People, "people who are connected (mixed)")
	numbers(set, &o.Fans, "fans", "of sockets that each event goes to (fanout)")
	numbers(set, &o.Sockets, "sockets", "of idle sockets, rising (idle)")
	numbers(set, &o.Snapshots, "snapshots", "of submissions (snapshot)")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			set.SetOutput(usage)
			set.Usage()
		}
		return options{}, err
	}
	if set.NArg() > 0 {
		return options{}, fmt.Errorf("%q is no flag; fix: bench -h lists them", set.Arg(0))
	}
	return o, o.check()
}

// some is a flag that chooses some of the names, separated by commas.
func some(set *flag.FlagSet, list *[]string, name, what string, names []string) {
	all := strings.Join(names, ",")
	set.Func(name, fmt.Sprintf("`%ss`, some of %s (default all)", what, all), func(text string) error {
		*list = strings.Split(text, ",")
		for _, name := range *list {
			if !slices.Contains(names, name) {
				return fmt.Errorf("no %s %q, want some of %s", what, name, all)
			}
		}
		return nil
	})
}

// numbers is a flag of several numbers, separated by commas.
func numbers(set *flag.FlagSet, list *[]int, name, help string) {
	set.Func(name, fmt.Sprintf("`numbers` %s, separated by commas (default %s)", help, strings.Join(strings.Fields(strings.Trim(fmt.Sprint(*list), "[]")), ",")), func(text string) error {
		*list = nil
		for word := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(word)
			if err != nil {
				return fmt.Errorf("%q, want numbers like 1000,10000", word)
			}
			*list = append(*list, n)
		}
		return nil
	})
}

// check says what is wrong with the sizes.
func (s sizes) check() error {
	var mistakes []error
	atLeast := func(name string, got, want int) {
		if got < want {
			mistakes = append(mistakes, fmt.Errorf("-%s is %d, want at least %d", name, got, want))
		}
	}
	atLeast("runs", s.Runs, 1)
	atLeast("rows", s.Rows, 2*s.Bulk)
	atLeast("people", s.People, 10)
	for name, list := range map[string][]int{"fans": s.Fans, "sockets": s.Sockets, "snapshots": s.Snapshots} {
		for _, n := range list {
			atLeast(name, n, 1)
		}
	}
	if !slices.IsSorted(s.Sockets) {
		mistakes = append(mistakes, fmt.Errorf("-sockets is %v, want rising numbers: they are connected one after another", s.Sockets))
	}
	for name, d := range map[string]time.Duration{"slice": s.Slice, "mixed": s.Mixed} {
		if d < 100*time.Millisecond {
			mistakes = append(mistakes, fmt.Errorf("-%s is %v, want at least 100ms", name, d))
		}
	}
	return errors.Join(mistakes...)
}
