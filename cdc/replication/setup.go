package replication

import (
	"errors"
	"slices"
	"strconv"
	"time"
)

// A SetupError says what is wrong with the server and how to put it right. The
// check command prints it, and serve fails with the same words.
type SetupError struct {
	Setting, Got, Want string
	Fix                string // a command or a line of configuration

	passing      bool      // it may pass without anybody doing anything: wait for it
	level        level     // what it keeps us from
	since        time.Time // the publication has been widened; zero: it is about something else
	unidentified *table    // that the server cannot tell the rows of apart; nil: it is about something else
	cause        error     // what the server or the network said
}

// level is what a problem means to a reader that has the tables already. A first start is
// refused by any.
type level byte

const (
	// serious: a start is refused; who follows the log goes on, as staying away would only
	// make it grow.
	serious level = iota
	// blind: the log does not tell what it should. Rather nothing is told than what is
	// wrong, or to somebody who may not know it any more.
	blind
	// bearable: something is missing without which the rest still means what it means.
	bearable
)

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

// unidentified are those of tables whose rows the server cannot tell apart.
func unidentified(found []Finding) []Finding {
	return slices.DeleteFunc(slices.Clone(found), func(f Finding) bool { return f.Err.unidentified == nil })
}

// identified are all others.
func identified(found []Finding) []Finding {
	return slices.DeleteFunc(slices.Clone(found), func(f Finding) bool { return f.Err.unidentified != nil })
}

// worst is what the problems among found mean together.
func worst(found []Finding) level {
	all := bearable
	for _, f := range found {
		switch {
		case f.Severity != Problem:
		case f.Err.level == blind:
			return blind
		case f.Err.level == serious:
			all = serious
		}
	}
	return all
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
