package wsserver

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/schoolbell/schoolbell/router"
)

// refilter takes up what a client wants to hear from now on. The answer comes through
// the router, in its place among the events; that to a request that is none comes at
// once, and changes nothing.
//
//go:noinline
func (c *session) refilter(text []byte) {
	f, err := newFilter(text)
	if err != nil {
		c.reply("error", appendError(nil, badRequest(err.Error())))
		return
	}
	c.sub.Refilter(f)
}

// newFilter reads {"type":"subscribe","types":…,"assignments":…}.
func newFilter(text []byte) (*router.Filter, error) {
	var m struct {
		Types       json.RawMessage `json:"types"`
		Assignments json.RawMessage `json:"assignments"`
	}
	_ = json.Unmarshal(text, &m) // parseType has read it
	types, err := words(m.Types)
	if err != nil {
		return nil, errors.New("types: want a list of strings, or null for all")
	}
	assignments, err := keys(m.Assignments)
	if err != nil {
		return nil, errors.New("assignments: want a list of keys, whole numbers or strings, or null for all")
	}
	return router.NewFilter(types, assignments)
}

func words(text json.RawMessage) (list []string, err error) {
	if text == nil {
		return nil, nil
	}
	var given []*string
	if err := json.Unmarshal(text, &given); err != nil || given == nil {
		return nil, err
	}
	list = []string{}
	for _, word := range given {
		if word == nil {
			return nil, errors.New("null is no word")
		}
		list = append(list, *word)
	}
	return list, nil
}

// keys reads ids as the protocol writes them: numbers or strings.
func keys(text json.RawMessage) (list []string, err error) {
	if text == nil {
		return nil, nil
	}
	var given []json.RawMessage
	if err := json.Unmarshal(text, &given); err != nil || given == nil {
		return nil, err
	}
	list = []string{}
	for _, value := range given {
		var key string
		if value[0] != '"' {
			key = string(value)
			_, err = strconv.ParseInt(key, 10, 64)
		} else {
			err = json.Unmarshal(value, &key)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, key)
	}
	return list, nil
}
