package profile

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/schoolbell/schoolbell/cdc"
)

// decimal is a number taken apart where it lies: nothing is rounded, so that
// numeric(10,5) and int8 compare exactly, and nothing is allocated.
type decimal struct {
	neg         bool
	special     int8   // -1 -Infinity, 1 Infinity, 2 NaN, which PostgreSQL sorts last
	whole, part []byte // digits without zeros at the outer ends
}

// parseDecimal reads [+-]digits[.digits] and PostgreSQL's NaN and Infinity.
func parseDecimal(b []byte) (d decimal, ok bool) {
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		d.neg = b[0] == '-'
		b = b[1:]
	}
	dot := -1
	for i, c := range b {
		if c-'0' <= 9 {
			continue
		}
		if c != '.' || dot >= 0 || i == 0 {
			return special(b, d.neg)
		}
		dot = i
	}
	switch {
	case len(b) == 0:
		return d, false
	case dot < 0:
		d.whole = b
	default:
		d.whole, d.part = b[:dot], b[dot+1:]
	}
	for len(d.whole) > 0 && d.whole[0] == '0' {
		d.whole = d.whole[1:]
	}
	for n := len(d.part); n > 0 && d.part[n-1] == '0'; n-- {
		d.part = d.part[:n-1]
	}
	if len(d.whole) == 0 && len(d.part) == 0 {
		d.neg = false
	}
	return d, true
}

func special(b []byte, neg bool) (decimal, bool) {
	switch string(b) {
	case "NaN":
		return decimal{special: 2}, !neg
	case "Infinity":
		if neg {
			return decimal{special: -1}, true
		}
		return decimal{special: 1}, true
	}
	return decimal{}, false
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// compare orders numbers as PostgreSQL does: NaN is equal to itself and greater
// than everything.
func (d *decimal) compare(e *decimal) int {
	switch {
	case d.special != 0 || e.special != 0:
		return int(d.special) - int(e.special)
	case d.neg != e.neg:
		if d.neg {
			return -1
		}
		return 1
	}
	c := len(d.whole) - len(e.whole)
	if c == 0 {
		c = bytes.Compare(d.whole, e.whole)
	}
	if c == 0 {
		c = bytes.Compare(d.part, e.part)
	}
	if d.neg {
		return -c
	}
	return c
}

// number reads the number in a value; buf gives room to write out a binary one.
func number(v cdc.Value, typ uint32, buf []byte) (decimal, bool) {
	if v.Kind == cdc.Text {
		if d, ok := parseDecimal(v.Data); ok {
			return d, true
		}
	}
	text, ok := appendNumber(buf[:0], v, typ)
	if !ok {
		return decimal{}, false
	}
	return parseDecimal(text)
}

// appendNumber writes the number in a value in plain decimals, its scale kept.
func appendNumber(dst []byte, v cdc.Value, typ uint32) ([]byte, bool) {
	if v.Kind == cdc.Text {
		if _, ok := parseDecimal(v.Data); ok {
			return append(dst, v.Data...), true
		}
		if !isJSONNumber(v.Data) {
			return dst, false // not worth the error that strconv would allocate
		}
		bits := 64
		if typ == oidFloat4 {
			bits = 32
		}
		f, err := strconv.ParseFloat(string(v.Data), bits) // 1e+20, as only floats are printed
		if err != nil {
			return dst, false
		}
		return appendFloat(dst, f, bits), true
	}
	if n, ok := integer(v, typ); ok {
		return strconv.AppendInt(dst, n, 10), true
	}
	b := v.Data
	switch {
	case v.Kind != cdc.Binary:
	case typ == oidFloat4 && len(b) == 4:
		return appendFloat(dst, float64(math.Float32frombits(binary.BigEndian.Uint32(b))), 32), true
	case typ == oidFloat8 && len(b) == 8:
		return appendFloat(dst, math.Float64frombits(binary.BigEndian.Uint64(b)), 64), true
	case typ == oidNumeric:
		return appendNumeric(dst, b)
	}
	return dst, false
}

// integer reads a value of an integer type.
func integer(v cdc.Value, typ uint32) (int64, bool) {
	b := v.Data
	switch {
	case v.Kind == cdc.Text:
		n, err := strconv.ParseInt(string(b), 10, 64)
		return n, err == nil
	case v.Kind != cdc.Binary:
	case typ == oidInt2 && len(b) == 2:
		return int64(int16(binary.BigEndian.Uint16(b))), true
	case typ == oidInt4 && len(b) == 4:
		return int64(int32(binary.BigEndian.Uint32(b))), true
	case typ == oidOID && len(b) == 4:
		return int64(binary.BigEndian.Uint32(b)), true
	case typ == oidInt8 && len(b) == 8:
		return int64(binary.BigEndian.Uint64(b)), true
	}
	return 0, false
}

func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, bits)
}

// appendNumeric writes the binary form of numeric: how many groups of four digits,
// the power of 10,000 of the first, a sign, the number of decimals to show, the
// groups.
func appendNumeric(dst, b []byte) ([]byte, bool) {
	const (
		negative, nan, infinity, negInfinity = 0x4000, 0xC000, 0xD000, 0xF000
		head                                 = 8
	)
	if len(b) < head {
		return dst, false
	}
	groups := int(int16(binary.BigEndian.Uint16(b)))
	weight := int(int16(binary.BigEndian.Uint16(b[2:])))
	scale := int(binary.BigEndian.Uint16(b[6:]))
	if groups < 0 || len(b) != head+2*groups || scale > 0x3FFF {
		return dst, false
	}
	switch binary.BigEndian.Uint16(b[4:]) {
	case 0:
	case negative:
		dst = append(dst, '-')
	case nan:
		return append(dst, "NaN"...), true
	case infinity:
		return append(dst, "Infinity"...), true
	case negInfinity:
		return append(dst, "-Infinity"...), true
	default:
		return dst, false
	}
	group := func(i int) int { // the group at 10,000 to the power of weight-i
		if i < 0 || i >= groups {
			return 0
		}
		return int(binary.BigEndian.Uint16(b[head+2*i:]))
	}
	digits := len(dst)
	for i := 0; i <= weight; i++ {
		dst = append4(dst, group(i))
	}
	kept := dst[:digits]
	for i := digits; i < len(dst); i++ {
		if dst[i] != '0' || len(kept) > digits {
			kept = append(kept, dst[i])
		}
	}
	if dst = kept; len(dst) == digits {
		dst = append(dst, '0')
	}
	if scale > 0 {
		dst = append(dst, '.')
		end := len(dst) + scale
		for i := weight + 1; len(dst) < end; i++ {
			dst = append4(dst, group(i))
		}
		dst = dst[:end]
	}
	return dst, true
}

func append4(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/1000%10), byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10))
}

// isJSONNumber reports whether b can stand in JSON as a number.
func isJSONNumber(b []byte) bool {
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	n := digits(b)
	if n == 0 || n > 1 && b[0] == '0' {
		return false
	}
	b = b[n:]
	if len(b) > 0 && b[0] == '.' {
		n = digits(b[1:])
		if n == 0 {
			return false
		}
		b = b[1+n:]
	}
	if len(b) > 0 && (b[0] == 'e' || b[0] == 'E') {
		b = b[1:]
		if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		n = digits(b)
		return n > 0 && n == len(b)
	}
	return len(b) == 0
}

func digits(b []byte) int {
	n := 0
	for n < len(b) && isDigit(b[n]) {
		n++
	}
	return n
}
