package pgoutput

import "fmt"

// Error says why a message was refused. Reading the same bytes again gives the
// same error: the session is to be given up and a new one begun from the last
// position applied.
type Error struct {
	Message string // which one, as "update"
	Offset  int    // where in it the trouble is; its first byte is 0
	Problem string
	Fix     string
}

func (e *Error) Error() string {
	return fmt.Sprintf("pgoutput %s message, byte %d: %s; fix: %s", e.Message, e.Offset, e.Problem, e.Fix)
}

const (
	fixMalformed = "reconnect; if it repeats, connect to PostgreSQL itself and not through a pooler or proxy"
	fixVersion   = "ask for proto_version 1 or 2 and without two_phase"
	fixOrder     = "reconnect, with a Reset of the decoder before the first message"
	fixTable     = "reconnect, so that the server describes its tables again"
)

// name is how errors call the message of a kind.
func name(kind byte) string {
	switch kind {
	case 'B':
		return "begin"
	case 'C':
		return "commit"
	case 'O':
		return "origin"
	case 'R':
		return "relation"
	case 'Y':
		return "type"
	case 'I':
		return "insert"
	case 'U':
		return "update"
	case 'D':
		return "delete"
	case 'T':
		return "truncate"
	case 'M':
		return "logical decoding"
	case 'S':
		return "stream start"
	case 'E':
		return "stream stop"
	case 'c':
		return "stream commit"
	case 'A':
		return "stream abort"
	}
	return "unknown"
}
