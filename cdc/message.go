package cdc

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// MessageSize is how many bytes a message may have as it is published.
const MessageSize = 64 << 10

// MessagePrefix is the one of pg_logical_emit_message under which messages are ours.
const MessagePrefix = "schoolbell"

// EchoPrefix is the one under which a gateway emits what only itself waits for, to see
// whether the log comes through to the sockets.
const EchoPrefix = MessagePrefix + ".self_check"

// Message is a custom one: what somebody published to a person or to a group.
type Message struct {
	User ID     // whom it is for; none: the admins
	Type string // its `type`
	// Fields are what was published in `data`, as it goes on in the message: a comma
	// and a name and a value for each, or nothing.
	Fields []byte
}

// Audience is who may see the message.
func (m Message) Audience() Audience {
	if m.User.IsZero() {
		return Audience{Admins: true}
	}
	return Audience{People: []ID{m.User}}
}

// Why a message is not published although it is a good one.
var (
	// ErrNoPerson: there is nobody with the key. Another try may be of use once the
	// person's row has been committed and read.
	ErrNoPerson = errors.New("there is no person with this key; fix: name one that the LMS has, whose row has been committed")
	// ErrKeyReused: what was published under the idempotency key is another message.
	ErrKeyReused = errors.New("this idempotency key belongs to another message; fix: give every message a key of its own")
	// ErrNotYet: the gateway does not know the LMS yet, or is busy with something large.
	// Try again.
	ErrNotYet = errors.New("nothing can be published at the moment; fix: try again, with the same idempotency key")
)

// MessageError says what is wrong with a text that should be a message. It holds
// nothing of the text, so that it can be logged.
type MessageError struct{ Problem, Fix string }

// Error is one sentence with the remedy.
func (e *MessageError) Error() string { return e.Problem + "; fix: " + e.Fix }

// The groups of the dashboard protocol.
const (
	adminGroup = "dashboard_metrics"
	userGroup  = "dashboard_user_"
)

// ParseMessage reads what was published, one JSON object:
//
//	{"user": 7, "type": "exam_moved", "data": {"room": 12}}
//
// or `"group"` in the place of `"user"`; `data` may be left out. Numbers and strings go on
// as they were written. The error is a *MessageError.
func ParseMessage(text []byte) (Message, error) {
	switch {
	case len(text) > MessageSize:
		return Message{}, &MessageError{"the message is too large", "publish at most 64 KB, and let clients ask for the rest"}
	case !utf8.Valid(text):
		return Message{}, &MessageError{"the message is no UTF-8", "write it in UTF-8"}
	case !json.Valid(text):
		return Message{}, &MessageError{"the message is no JSON", `write one object like {"user": 7, "type": "exam_moved", "data": {"room": 12}}`}
	}
	var m Message
	given := map[string]bool{}
	s := jsonScanner{text: text}
	err := s.object(1, func(key string, value []byte) error {
		given[key] = true
		switch key {
		case "user":
			return m.readUser(value)
		case "group":
			return m.readGroup(value)
		case "type":
			return m.readType(value)
		case "data":
			return m.readData(value)
		}
		return &MessageError{"the message has a field that nobody knows", "leave only user or group, type, and data"}
	})
	switch {
	case err != nil:
		return Message{}, err
	case given["user"] == given["group"]:
		return Message{}, &MessageError{"the message does not say whom it is for", "name either a user or a group"}
	case !given["type"]:
		return Message{}, &MessageError{"the message has no type", wantType}
	}
	return m, nil
}

func (m *Message) readUser(value []byte) error {
	text, isText := unquote(value)
	if !isText {
		text = string(value)
	}
	id := ParseID(text)
	if !isText && id.kind != idInt || id.IsZero() {
		return &MessageError{"user is no key of a person", "write the key as the LMS has it, a whole number or a string"}
	}
	m.User = id
	return nil
}

func (m *Message) readGroup(value []byte) error {
	name, _ := unquote(value)
	if id, ok := strings.CutPrefix(name, userGroup); ok && id != "" {
		m.User = ParseID(id)
		return nil
	}
	if name != adminGroup {
		return &MessageError{"group is none that there is", "name " + adminGroup + ", all admins, or " + userGroup + "ID, one person"}
	}
	return nil
}

const wantType = "give it a type of 1 to 64 of the characters a-z, 0-9, _, . and -"

func (m *Message) readType(value []byte) error {
	m.Type, _ = unquote(value)
	return CheckType(m.Type)
}

// CheckType says whether a message may have this type; its error is a *MessageError.
func CheckType(name string) error {
	allowed := func(c rune) bool {
		return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.ContainsRune("_.-", c)
	}
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, func(c rune) bool { return !allowed(c) }) {
		return &MessageError{"type is none that a message may have", wantType}
	}
	switch name {
	case "submission", "grade", "assignment", "assignment_closed", // what the log tells
		"welcome", "metrics", "ping", "pong", "gap", "disconnect", "auth", "error", "subscribe", "subscribed", // what server and client say
		"custom", "unsubscribe", "resume", "history": // what they may say one day
		return &MessageError{"type is one of the protocol's own", "choose another one"}
	}
	return nil
}

func (m *Message) readData(value []byte) error {
	s := jsonScanner{text: value}
	if value[0] != '{' {
		return &MessageError{"data is no object", `write an object like {"room": 12}`}
	}
	err := s.object(2, func(key string, _ []byte) error {
		switch key {
		case "type", "id", "timestamp", "cursor", "recovered":
			return &MessageError{"data has a field of the protocol's own", "rename type, id, timestamp, cursor and recovered"}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	_ = json.Compact(&b, value) // it is JSON
	if inner := bytes.TrimSuffix(b.Bytes()[1:], []byte("}")); len(inner) > 0 {
		m.Fields = append([]byte{','}, inner...)
	}
	return nil
}

// unquote reads a string; false: the value is something else.
func unquote(value []byte) (text string, ok bool) {
	if value[0] != '"' {
		return "", false
	}
	return text, json.Unmarshal(value, &text) == nil
}

// jsonScanner walks over a text that is JSON, and looks for what JSON allows and
// readers take in different ways: a name twice in an object, half of a character of
// two halves, and objects within objects without end.
type jsonScanner struct {
	text []byte
	at   int
}

// deepest is how far values may be within others. Readers of some languages stop at
// a hundred or so.
const deepest = 32

// object walks over an object, if there is one, and shows its fields.
func (s *jsonScanner) object(depth int, field func(key string, value []byte) error) error {
	if s.next() != '{' {
		return &MessageError{"the message is no object", `write one like {"user": 7, "type": "exam_moved", "data": {"room": 12}}`}
	}
	if depth > deepest {
		return &MessageError{"the message goes too deep", "put at most 32 objects and lists into each other"}
	}
	s.at++
	seen := map[string]bool{}
	for s.next() != '}' {
		begin := s.at
		if err := s.string(); err != nil {
			return err
		}
		key, _ := unquote(s.text[begin:s.at])
		if seen[key] {
			return &MessageError{"an object of the message has a field twice", "leave one of them"}
		}
		seen[key] = true
		s.next()
		s.at++ // the colon
		s.next()
		begin = s.at
		if err := s.value(depth + 1); err != nil {
			return err
		}
		if field != nil {
			if err := field(key, s.text[begin:s.at]); err != nil {
				return err
			}
		}
		if s.next() == ',' {
			s.at++
		}
	}
	s.at++
	return nil
}

func (s *jsonScanner) value(depth int) error {
	switch s.next() {
	case '{':
		return s.object(depth, nil)
	case '[':
		return s.list(depth)
	case '"':
		return s.string()
	}
	for s.at < len(s.text) && !bytes.ContainsRune([]byte(",]} \t\r\n"), rune(s.text[s.at])) {
		s.at++
	}
	return nil
}

func (s *jsonScanner) list(depth int) error {
	if depth > deepest {
		return &MessageError{"the message goes too deep", "put at most 32 objects and lists into each other"}
	}
	s.at++
	for s.next() != ']' {
		if err := s.value(depth + 1); err != nil {
			return err
		}
		if s.next() == ',' {
			s.at++
		}
	}
	s.at++
	return nil
}

// string walks over a string. An escape of one half of a character (a surrogate) has
// to be followed by that of the other.
func (s *jsonScanner) string() error {
	for s.at++; s.text[s.at] != '"'; s.at++ {
		if s.text[s.at] != '\\' {
			continue
		}
		s.at++
		if s.text[s.at] != 'u' {
			continue
		}
		const first, second = 0xd8, 0xdc
		half := s.half()
		s.at += 4
		if half == second {
			return errHalf()
		}
		if half == first {
			if !bytes.HasPrefix(s.text[s.at+1:], []byte(`\u`)) {
				return errHalf()
			}
			if s.at += 2; s.half() != second {
				return errHalf()
			}
			s.at += 4
		}
	}
	s.at++
	return nil
}

// half is what the top six bits of the escape at the u make it: 0xd8, 0xdc, or
// neither.
func (s *jsonScanner) half() byte {
	var b byte
	for _, c := range s.text[s.at+1 : s.at+3] {
		b <<= 4
		switch {
		case c <= '9':
			b |= c - '0'
		default:
			b |= c&^0x20 - 'A' + 10
		}
	}
	return b &^ 3
}

func errHalf() *MessageError {
	return &MessageError{"a string of the message has half of a character", `write both halves, like \ud83d\ude00, or the character itself`}
}

// next passes white space and answers the byte after it.
func (s *jsonScanner) next() byte {
	for s.text[s.at] == ' ' || s.text[s.at] == '\t' || s.text[s.at] == '\r' || s.text[s.at] == '\n' {
		s.at++
	}
	return s.text[s.at]
}
