//go:build linux

package main

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// verdict is what was wrong with what people received: all must be zero.
type verdict struct {
	lost, doubled, misordered, leaked, counts int
	events, deliveries                        int
	said                                      []string // of each kind the first
}

func (v *verdict) wrong() int { return v.lost + v.doubled + v.misordered + v.leaked + v.counts }

func (v *verdict) say(n *int, format string, args ...any) {
	if *n++; *n <= 10 {
		v.said = append(v.said, fmt.Sprintf(format, args...))
	}
}

func (v *verdict) add(other verdict) {
	v.lost += other.lost
	v.doubled += other.doubled
	v.misordered += other.misordered
	v.leaked += other.leaked
	v.counts += other.counts
	v.events += other.events
	v.deliveries += other.deliveries
	v.said = append(v.said, other.said...)
}

func (v *verdict) String() string {
	return fmt.Sprintf("lost %d, doubled %d, misordered %d, leaked %d, wrong counts %d; of %d events, %d deliveries",
		v.lost, v.doubled, v.misordered, v.leaked, v.counts, v.events, v.deliveries)
}

// recovery is what the gateway says of one: everything up to from came as ordinary
// events, everything after it and before at as its net effect, and the rest again
// as ordinary events.
type recovery struct{ from, at cdc.LSN }

// unit is what had to be told together: one transaction, or what a recovery told.
type unit struct {
	transactions []transaction
	recovered    cdc.LSN // 0: it is no recovery
	events       []expected
}

// judge compares what everybody received with what transactions mean that were
// committed when the tables were as in start, and answers how they are after it.
//
// Of a transaction that committed while a recovery took its snapshot it is not known
// on which side it is. Nor need it be: either is right, if it is right for all.
func judge(start *truth, committed []transaction, recoveries []recovery, got map[int64][]received) (*truth, verdict) {
	var best verdict
	var end *truth
	for _, told := range untold(recoveries, committed, got) {
		for choice := range 1 << (2 * len(told)) {
			now := start
			if len(told) > 0 {
				now = start.clone()
			}
			units := divide(committed, told, choice)
			for i := range units {
				units[i].events = now.step(units[i].transactions)
			}
			v := compare(units, got)
			if end == nil || v.wrong() == 0 {
				best, end = v, now
			}
			if v.wrong() == 0 {
				return end, best
			}
		}
	}
	return end, best
}

// untold adds the recovery that nobody spoke of, because the gateway was killed before
// it could. Where it stood is not known then, but for what it had told before: each place
// after that, up to the next few transactions, is a possibility.
func untold(recoveries []recovery, committed []transaction, got map[int64][]received) [][]recovery {
	var at, before cdc.LSN
	for _, events := range got {
		for _, r := range events {
			p, err := cdc.ParsePosition(r.id)
			known := slices.ContainsFunc(recoveries, func(k recovery) bool { return k.at == p.LSN })
			if err == nil && !known && strings.Contains(r.fields, `"recovered":true,`) {
				at = p.LSN
			}
		}
	}
	if at == 0 {
		return [][]recovery{recoveries}
	}
	for _, events := range got {
		for _, r := range events {
			if p, err := cdc.ParsePosition(r.id); err == nil && p.LSN < at {
				before = max(before, p.LSN+1)
			}
		}
	}
	places := []cdc.LSN{before}
	for _, t := range committed {
		if t.before >= before && t.after <= at && len(places) < 30 {
			places = append(places, t.after)
		}
	}
	var all [][]recovery
	for _, from := range places {
		with := append(slices.Clone(recoveries), recovery{from, at})
		slices.SortFunc(with, func(a, b recovery) int { return int(int64(a.at) - int64(b.at)) })
		all = append(all, with)
	}
	return all
}

// divide makes units; two bits of choice say of each recovery what is not known.
func divide(committed []transaction, recoveries []recovery, choice int) []unit {
	var units []unit
	rest := committed
	for i, r := range recoveries {
		from := cutAt(rest, r.from, choice>>(2*i)&1 == 0)
		for _, t := range rest[:from] {
			units = append(units, unit{transactions: []transaction{t}})
		}
		rest = rest[from:]
		at := cutAt(rest, r.at, choice>>(2*i+1)&1 == 0)
		units = append(units, unit{transactions: rest[:at], recovered: r.at})
		rest = rest[at:]
	}
	for _, t := range rest {
		units = append(units, unit{transactions: []transaction{t}})
	}
	return units
}

// cutAt answers how many transactions are before a position; before decides of one
// that may be on either side.
func cutAt(transactions []transaction, at cdc.LSN, before bool) int {
	n := 0
	for n < len(transactions) && (transactions[n].after <= at || before && transactions[n].before < at) {
		n++
	}
	return n
}

// delivery is one event for one person.
type delivery struct {
	unit   int
	fields string
}

// compare finds what is wrong.
func compare(units []unit, got map[int64][]received) (v verdict) {
	wanted := map[int64]map[delivery]expected{}
	known := map[delivery]bool{}
	for n, u := range units {
		v.events += len(u.events)
		for _, e := range u.events {
			key := delivery{n, e.fields}
			known[key] = true
			for _, person := range e.people {
				if wanted[person] == nil {
					wanted[person] = map[delivery]expected{}
				}
				wanted[person][key] = e
			}
		}
	}
	ids := map[delivery]string{}
	for person, events := range got {
		had := map[delivery]bool{}
		last := delivery{unit: -1}
		stage := 0
		for _, r := range events {
			v.deliveries++
			key := delivery{unitOf(units, r), strings.Replace(r.fields, `"recovered":true,`, "", 1)}
			want, theirs := wanted[person][key]
			switch {
			case key.unit < 0:
				v.say(&v.leaked, "person %d received an event of no transaction: %s %s", person, r.id, r.fields)
				continue
			case !theirs && known[key]:
				v.say(&v.leaked, "person %d received what is not theirs: %s %s", person, r.id, r.fields)
				continue
			case !theirs:
				v.say(&v.leaked, "person %d received what did not happen in transaction %s: %s %s", person, units[key.unit], r.id, r.fields)
				continue
			case had[key]:
				v.say(&v.doubled, "person %d received twice: %s %s", person, r.id, r.fields)
				continue
			}
			had[key] = true
			if key.unit != last.unit {
				stage = 0
			}
			if key.unit < last.unit || want.stage < stage {
				v.say(&v.misordered, "person %d received too late: %s %s", person, r.id, r.fields)
			}
			last, stage = key, want.stage
			if id, seen := ids[key]; seen && id != r.id {
				v.say(&v.misordered, "ids of one event differ: %s, for person %d %s: %s", id, person, r.id, r.fields)
			}
			ids[key] = r.id
			if at := units[key.unit].time(); !at.IsZero() && !at.Equal(r.timestamp) {
				v.say(&v.misordered, "an event has the time %v, but its commit %v: %s %s", r.timestamp, at, r.id, r.fields)
			}
		}
		v.missing(person, units, wanted[person], had)
	}
	return v
}

// missing notes what a person never received, in one sentence per transaction.
func (v *verdict) missing(person int64, units []unit, wanted map[delivery]expected, had map[delivery]bool) {
	lost := map[int][]string{}
	all := map[int]int{}
	for key := range wanted {
		all[key.unit]++
		if !had[key] {
			lost[key.unit] = append(lost[key.unit], key.fields)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(lost)) {
		v.say(&v.lost, "person %d never received %d of %d events of transaction %v: %s", person, len(lost[n]), all[n], units[n], slices.Min(lost[n]))
		v.lost += len(lost[n]) - 1
	}
}

// clock is how failures tell the time, for comparing with the gateway's log.
const clock = "15:04:05.000000"

// unitOf finds what an event belongs to by its id; -1: nothing.
func unitOf(units []unit, r received) int {
	at, err := cdc.ParsePosition(r.id)
	if err != nil {
		return -1
	}
	if strings.Contains(r.fields, `"recovered":true,`) {
		return slices.IndexFunc(units, func(u unit) bool { return u.recovered == at.LSN })
	}
	// The last one that begins at or before it.
	n := sort.Search(len(units), func(i int) bool { return units[i].begins() > at.LSN }) - 1
	if n < 0 || units[n].recovered != 0 || at.LSN >= units[n].transactions[0].after {
		return -1
	}
	return n
}

// begins is a position that its first event cannot be before.
func (u unit) begins() cdc.LSN {
	if len(u.transactions) == 0 {
		return u.recovered
	}
	return u.transactions[0].before
}

// time is when its events say that they happened; zero: that is not known.
func (u unit) time() time.Time {
	if u.recovered != 0 {
		return time.Time{}
	}
	return u.transactions[0].at
}

func (u unit) String() string {
	if u.recovered != 0 {
		return fmt.Sprintf("the recovery at %v (%d transactions)", u.recovered, len(u.transactions))
	}
	t := u.transactions[0]
	return fmt.Sprintf("%d (%v to %v, %s)", t.n, t.before, t.after, t.at.UTC().Format(clock))
}
