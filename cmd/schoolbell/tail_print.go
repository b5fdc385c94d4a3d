package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
)

// print writes one event, or a gap, as one line.
func (t *tail) print(f frame, raw []byte) error {
	var line string
	if t.asJSON {
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			return fmt.Errorf("print an event: %w", err)
		}
		line = b.String()
	} else {
		line = f.line(raw, painter(t.colour))
	}
	if _, err := fmt.Fprintln(t.out, line); err != nil {
		return fmt.Errorf("print an event: %w", err)
	}
	return nil
}

// line is an event as a person reads it.
func (f frame) line(raw []byte, paint painter) string {
	var says string
	switch f.Type {
	case "submission":
		says = fmt.Sprintf("%s handed in submission %s for %s", f.student(), f.SubmissionID, f.assignment())
	case "grade":
		says = fmt.Sprintf("%s got %s%s for %s", f.student(), f.grade(), f.onSubmission(), f.assignment())
	case "assignment":
		says = fmt.Sprintf("assignment %s: %s", f.AssignmentID, f.Title)
		if f.DueDate != "" {
			says += ", due " + local(f.DueDate, "2006-01-02 15:04")
		}
	case "assignment_closed":
		says = f.assignment() + " is closed"
	case "gap":
		count := "an unknown number of"
		if f.Count != nil {
			count = fmt.Sprint(*f.Count)
		}
		says = fmt.Sprintf("%s events from %s to %s are not shown: %s", count, f.From, f.To, f.Reason)
	default:
		says = string(raw)
	}
	if f.Recovered {
		says += " (recovered)"
	}
	text := paint.in(dim, local(f.Timestamp, "2006-01-02 15:04:05.000")) + "  " +
		paint.in(colourOf(f.Type), fmt.Sprintf("%-17s", f.Type)) + "  " + printable(says)
	if f.ID != "" {
		text += "  " + paint.in(dim, f.ID)
	}
	return text
}

// The colours, as SGR codes: those of the sixteen that are readable on dark and on light.
const (
	dim     = "2"
	red     = "31"
	green   = "32"
	yellow  = "33"
	blue    = "34"
	magenta = "35"
	cyan    = "36"
)

func colourOf(kind string) string {
	switch kind {
	case "submission":
		return cyan
	case "grade":
		return green
	case "assignment":
		return blue
	case "assignment_closed":
		return yellow
	case "gap":
		return red
	}
	return magenta
}

// painter says whether there are colours.
type painter bool

// in is a text that may be foreign, in a colour.
func (p painter) in(colour, text string) string {
	text = printable(text)
	if !p {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// hasColours reports whether out is a terminal that shows colours to somebody who has
// nothing against them (no-color.org).
func hasColours(out io.Writer, getenv func(string) string) bool {
	file, ok := out.(*os.File)
	if !ok || getenv("NO_COLOR") != "" || getenv("TERM") == "dumb" {
		return false
	}
	about, err := file.Stat()
	return err == nil && about.Mode()&os.ModeCharDevice != 0
}

// local writes a time of the protocol as the clock on this wall shows it.
func local(text, layout string) string {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return text
	}
	return t.Local().Format(layout)
}

func (f frame) assignment() string {
	text := fmt.Sprintf("assignment %s", f.AssignmentID)
	if f.AssignmentTitle != "" {
		text += " (" + f.AssignmentTitle + ")"
	}
	return text
}

func (f frame) student() string {
	name := strings.TrimSpace(f.Student.FirstName + " " + f.Student.LastName)
	return cmp.Or(name, f.Student.Email, "somebody") // whose work is marked anonymously
}

// grade is the grade without the decimals that a column only shows.
func (f frame) grade() string {
	text := string(f.Grade)
	switch {
	case text == "null":
		return "no score" // as who is excused
	case strings.Contains(text, ".") && !strings.ContainsAny(text, `"eE`):
		return strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// onSubmission names the submission, if there was one.
func (f frame) onSubmission() string {
	if id := string(f.SubmissionID); id != "null" {
		return " on submission " + id
	}
	return ""
}

// printable keeps what people called themselves from steering the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
