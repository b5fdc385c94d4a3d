package main

import (
	"bytes"
	"encoding/json"
	"fmt"
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
		line = f.line(raw)
	}
	if _, err := fmt.Fprintln(t.out, line); err != nil {
		return fmt.Errorf("print an event: %w", err)
	}
	return nil
}

// line is an event as a person reads it.
func (f frame) line(raw []byte) string {
	var says string
	switch f.Type {
	case "submission":
		says = fmt.Sprintf("%s handed in submission %s for %s", f.student(), f.SubmissionID, f.assignment())
	case "grade":
		says = fmt.Sprintf("%s got %s on submission %s for %s", f.student(), f.Grade, f.SubmissionID, f.assignment())
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
	text := fmt.Sprintf("%s  %-17s  %s", local(f.Timestamp, "2006-01-02 15:04:05.000"), f.Type, says)
	if f.ID != "" {
		text += "  " + f.ID
	}
	return printable(text)
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
	if name == "" {
		return f.Student.Email
	}
	return name
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
