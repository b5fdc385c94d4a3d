package replication

import (
	"errors"
	"strconv"
)

// A SetupError says what is wrong with the server and how to put it right. The
// check command prints it, and serve fails with the same words.
type SetupError struct {
	Setting, Got, Want string
	Fix                string // a command or a line of configuration

	passing bool  // it may pass without anybody doing anything: wait for it
	cause   error // what the server or the network said
}

// Error is one sentence with the remedy.
func (e *SetupError) Error() string {
	return e.Setting + " is " + e.Got + ", want " + e.Want + "; fix: " + e.Fix
}

// Unwrap is what the server or the network said, if anything.
func (e *SetupError) Unwrap() error { return e.cause }

// Severity says whether a Finding keeps us from following the log.
type Severity byte

const (
	Problem Severity = iota // serve refuses to start
	Advice                  // it works; something could hurt later
)

// Finding is one thing that Check found.
type Finding struct {
	Severity Severity
	Err      *SetupError
}

func quoted(s string) string { return strconv.Quote(s) }

// problems joins what keeps us from following, in order; nil if nothing does.
func problems(found []Finding) error {
	var errs []error
	for _, f := range found {
		if f.Severity == Problem {
			errs = append(errs, f.Err)
		}
	}
	return errors.Join(errs...)
}

// passes reports whether err is only a matter of time.
func passes(err error) bool {
	setup, ok := errors.AsType[*SetupError](err)
	return !ok || setup.passing
}

func (e *SetupError) because(err error) *SetupError {
	e.cause = err
	return e
}
