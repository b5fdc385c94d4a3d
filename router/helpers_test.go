package router_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/router"
)

// memory is a history of slices.
type memory struct {
	mu     sync.Mutex
	events []*cdc.Event
	kept   cdc.Position
	lost   cdc.Position
	broken error
	during func() // called once, in the middle of a reading
}

func (m *memory) EventsOf(person cdc.ID, wasAdmin func(cdc.Position) bool, after, upTo cdc.Position, most int,
	give func(*cdc.Event) bool,
) (cdc.Position, error) {
	m.mu.Lock()
	events, broken, during := m.events, m.broken, m.during
	m.during = nil
	m.mu.Unlock()
	if during != nil {
		during()
	}
	begin := sort.Search(len(events), func(i int) bool { return events[i].Position.After(after) })
	for _, e := range events[begin:] {
		if broken != nil {
			return after, broken
		}
		if !e.Position.After(after) || e.Position.After(upTo) {
			continue
		}
		mine := slices.Contains(e.Audience.People, person) || e.Audience.Admins && wasAdmin(e.Position)
		if most--; mine && !give(e) || most == 0 {
			return e.Position, nil
		}
	}
	return upTo, broken
}

func (m *memory) Back(upTo cdc.Position, n int) (cdc.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range slices.Backward(m.events) {
		if e.Position.After(upTo) {
			continue
		}
		if n--; n < 0 {
			return e.Position, nil
		}
	}
	return cdc.Position{}, nil
}

func (m *memory) First(after cdc.Position) (cdc.Position, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.events {
		if e.Position.After(after) {
			return e.Position, e.Time, nil
		}
	}
	return cdc.Position{}, time.Time{}, nil
}

func (m *memory) Kept() cdc.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept
}

func (m *memory) Lost() cdc.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lost
}

func (m *memory) add(events ...*cdc.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, events...)
}

func (m *memory) trim(to cdc.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = to
	m.events = slices.DeleteFunc(slices.Clone(m.events), func(e *cdc.Event) bool { return !e.Position.After(to) })
}

func pos(lsn, index int) cdc.Position {
	return cdc.Position{LSN: cdc.LSN(lsn), Index: uint32(index)}
}

func event(at cdc.Position, admins bool, people ...int64) *cdc.Event {
	ids := make([]cdc.ID, len(people))
	for i, p := range people {
		ids[i] = cdc.IntID(p)
	}
	slices.SortFunc(ids, cdc.ID.Compare)
	return &cdc.Event{
		Position: at, Kind: cdc.Grade, Time: time.Unix(1_800_000_000, 0),
		Audience: cdc.Audience{People: ids, Admins: admins},
		Body:     fmt.Appendf(nil, `{"type":"grade","id":"%v"}`, at),
	}
}

func teacher(id int64) cdc.Person {
	return cdc.Person{ID: cdc.IntID(id), Role: cdc.Teacher, Active: true}
}

func admin(id int64) cdc.Person {
	return cdc.Person{ID: cdc.IntID(id), Role: cdc.Admin, Active: true}
}

// school is a router with its history, as serve keeps them.
type school struct {
	*router.Router
	memory *memory
}

func newSchool(cfg router.Config) school {
	m := &memory{}
	s := school{router.New(m, cfg), m}
	s.Start(pos(1, 0))
	return s
}

// commit stores one transaction and publishes it.
func (s school) commit(events ...*cdc.Event) {
	s.memory.add(events...)
	s.Publish(router.Batch{Cursor: events[len(events)-1].Position, Events: events})
}

func (s school) join(t testing.TB, p cdc.Person, since *cdc.Position) *router.Subscription {
	t.Helper()
	sub, err := s.Subscribe(router.Request{Person: p, Since: since, Wake: func(error) {}})
	require.NoError(t, err)
	t.Cleanup(sub.Close)
	return sub
}

// drain takes until there is no more, and returns the positions; a gap is its
// whole body.
func drain(t testing.TB, sub *router.Subscription) []string {
	t.Helper()
	var got []string
	buf := make([]*router.Message, 3)
	for {
		taken, err := sub.Take(buf)
		require.NoError(t, err)
		for _, m := range buf[:taken.N] {
			got = append(got, say(m))
		}
		if !taken.More {
			return got
		}
	}
}

// say is a message in a few words: an event's position, a gap's facts.
func say(m *router.Message) string {
	if m.Type != router.GapType {
		return m.Position.String()
	}
	var gap struct {
		Reason, From, To string
		Count            *int
	}
	if err := json.Unmarshal(m.Body, &gap); err != nil {
		return err.Error()
	}
	count := "?"
	if gap.Count != nil {
		count = strconv.Itoa(*gap.Count)
	}
	return fmt.Sprintf("gap %s %s-%s %s", gap.Reason, gap.From, gap.To, count)
}

var errDisk = errors.New("the disk is on fire")
