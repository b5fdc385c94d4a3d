package profile

import (
	"cmp"
	"encoding/binary"
	"math"
	"strings"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// moment reads the time in a value, in UTC. The zero time stands for what is none:
// NULL, infinity in either direction, a year before Christ, 0 where times are unix seconds, and whatever
// is no time.
func (t times) moment(v cdc.Value, typ uint32) time.Time {
	switch {
	case v.Kind != cdc.Text && v.Kind != cdc.Binary:
		return time.Time{}
	case isInteger(typ):
		if n, ok := integer(v, typ); ok && n > 0 { // Bind has seen that times are unix
			return time.Unix(n, 0).UTC()
		}
		return time.Time{}
	case v.Kind == cdc.Binary:
		return t.fromBinary(v.Data, typ)
	}
	at, hasZone, ok := parseTime(v.Data)
	if !ok {
		return time.Time{}
	}
	if !hasZone {
		at = t.inZone(at)
	}
	return at
}

// lastSecond ends the year 9999, the last that RFC 3339 can write; microseconds
// since 1970 overflow some way behind it.
const lastSecond = 253402300799

// read reads the time in a column, given what it was. What lies behind the year
// 9999 is none: with such a moment people write that there will be no such moment.
func (t times) read(row []cdc.Value, c column, was time.Time) time.Time {
	switch {
	case !c.named():
		return time.Time{}
	case row[c.index].Kind == cdc.Unchanged:
		return was
	}
	if at := t.moment(row[c.index], c.typ); at.Unix() <= lastSecond {
		return at
	}
	return time.Time{}
}

// inZone takes a time read as if it were UTC and means its digits in t's zone.
func (t times) inZone(at time.Time) time.Time {
	if t.zone == nil || t.zone == time.UTC {
		return at
	}
	y, mo, d := at.Date()
	h, mi, s := at.Clock()
	return time.Date(y, mo, d, h, mi, s, at.Nanosecond(), t.zone).UTC()
}

// postgresEpoch is 2000-01-01, from which the binary forms count.
const postgresEpoch = 946684800

func (t times) fromBinary(b []byte, typ uint32) time.Time {
	at, _ := t.fromBinaryOrEdge(b, typ)
	return at
}

// fromBinaryOrEdge tells apart what is no time: edge is -1 before all times that we
// know, and 1 behind them.
func (t times) fromBinaryOrEdge(b []byte, typ uint32) (at time.Time, edge int) {
	switch {
	case typ == oidDate && len(b) == 4:
		days := int32(binary.BigEndian.Uint32(b))
		if days == math.MaxInt32 || days == math.MinInt32 {
			return time.Time{}, cmp.Compare(days, 0)
		}
		at = time.Unix(postgresEpoch+int64(days)*86400, 0).UTC()
	case (typ == oidTimestamp || typ == oidTimestamptz) && len(b) == 8:
		us := int64(binary.BigEndian.Uint64(b))
		if us == math.MaxInt64 || us == math.MinInt64 {
			return time.Time{}, cmp.Compare(us, 0)
		}
		at = time.UnixMicro(us).Add(postgresEpoch * time.Second).UTC()
	default:
		return time.Time{}, 0
	}
	if at.Year() < 1 {
		return time.Time{}, -1
	}
	if typ != oidTimestamptz {
		at = t.inZone(at)
	}
	return at, 0
}

// tense is where a time lies by the log's clock.
type tense byte

const (
	noTime tense = iota
	past
	future
)

// tense tells whether the time in a value has come, and if not when it will; zero:
// never. The very moment has come. What read takes for none because it lies at either
// end of time is past or future all the same.
func (t times) tense(v cdc.Value, typ uint32, now time.Time) (tense, time.Time) {
	if v.Kind != cdc.Text {
		return noTime, time.Time{}
	}
	switch text := string(v.Data); {
	case text == "infinity":
		return future, time.Time{}
	case text == "-infinity", strings.HasSuffix(text, " BC") && !isInteger(typ):
		return past, time.Time{}
	}
	if isInteger(typ) {
		if n, ok := integer(v, typ); ok && n > 1<<40 {
			return future, time.Time{}
		}
	}
	switch at := t.moment(v, typ); {
	case at.IsZero():
		return noTime, time.Time{}
	case at.After(now):
		return future, at
	}
	return past, time.Time{}
}

// parseTime reads PostgreSQL's ISO form: 2026-11-22, 2026-11-22 21:05:11.123456,
// and the same with +00, +05:30 or -00:01:15 behind it. A time without a zone is
// read as if it were UTC.
func parseTime(b []byte) (at time.Time, hasZone, ok bool) {
	p := timeParser{rest: b, ok: true}
	year := p.number(4, 6)
	p.byte('-')
	month := p.number(2, 2)
	p.byte('-')
	day := p.number(2, 2)
	var hour, minute, second, nano, offset int
	if p.accept(' ') || p.accept('T') {
		hour = p.number(2, 2)
		p.byte(':')
		minute = p.number(2, 2)
		p.byte(':')
		second = p.number(2, 2)
		if p.accept('.') {
			nano = p.fraction()
		}
		offset, hasZone = p.zone()
	}
	if !p.ok || len(p.rest) > 0 || year < 1 || month < 1 || month > 12 || day < 1 || day > 31 ||
		hour > 24 || minute > 59 || second > 60 {
		return time.Time{}, false, false
	}
	at = time.Date(year, time.Month(month), day, hour, minute, second, nano, time.UTC)
	return at.Add(-time.Duration(offset) * time.Second), hasZone, true
}

type timeParser struct {
	rest []byte
	ok   bool
}

func (p *timeParser) accept(c byte) bool {
	if len(p.rest) == 0 || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *timeParser) byte(c byte) { p.ok = p.accept(c) && p.ok }

func (p *timeParser) number(least, most int) int {
	n := 0
	count := min(digits(p.rest), most)
	for _, c := range p.rest[:count] {
		n = n*10 + int(c-'0')
	}
	p.ok = p.ok && count >= least
	p.rest = p.rest[count:]
	return n
}

// fraction reads nanoseconds, of which only whole microseconds count: PostgreSQL
// keeps no more, and what is remembered must compare equal with what is read.
func (p *timeParser) fraction() int {
	count := digits(p.rest)
	p.ok = p.ok && count >= 1 && count <= 9
	nano, unit := 0, 100_000_000
	for _, c := range p.rest[:min(count, 6)] {
		nano += int(c-'0') * unit
		unit /= 10
	}
	p.rest = p.rest[count:]
	return nano
}

// zone reads an offset in seconds east of Greenwich.
func (p *timeParser) zone() (offset int, ok bool) {
	sign := 1
	switch {
	case p.accept('Z'):
		return 0, true
	case p.accept('-'):
		sign = -1
	case !p.accept('+'):
		return 0, false
	}
	offset = p.number(2, 2) * 3600
	if p.accept(':') {
		offset += p.number(2, 2) * 60
	}
	if p.accept(':') {
		offset += p.number(2, 2)
	}
	return sign * offset, true
}
