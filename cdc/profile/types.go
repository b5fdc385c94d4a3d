package profile

import (
	"encoding/hex"
	"strings"

	"github.com/schoolbell/schoolbell/cdc"
)

// Type oids (pg_type.dat).
const (
	oidBool        = 16
	oidChar        = 18
	oidName        = 19
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidText        = 25
	oidOID         = 26
	oidFloat4      = 700
	oidFloat8      = 701
	oidBpchar      = 1042
	oidVarchar     = 1043
	oidDate        = 1082
	oidTimestamp   = 1114
	oidTimestamptz = 1184
	oidNumeric     = 1700
	oidUUID        = 2950
)

// class is what of a type decides how its values are compared and written.
type class byte

const (
	classOther class = iota // enums, domains, json, …: what they print
	classBool
	classNumber
	classText
	classTime
	classUUID
)

func classOf(typ uint32) class {
	switch typ {
	case oidBool:
		return classBool
	case oidInt2, oidInt4, oidInt8, oidOID, oidFloat4, oidFloat8, oidNumeric:
		return classNumber
	case oidText, oidVarchar, oidBpchar, oidName, oidChar:
		return classText
	case oidDate, oidTimestamp, oidTimestamptz:
		return classTime
	case oidUUID:
		return classUUID
	}
	return classOther
}

func (c class) String() string {
	switch c {
	case classBool:
		return "a boolean"
	case classNumber:
		return "a number"
	case classText:
		return "text"
	case classTime:
		return "a time"
	case classUUID:
		return "a uuid"
	}
	return "of another type"
}

func isInteger(typ uint32) bool {
	return typ == oidInt2 || typ == oidInt4 || typ == oidInt8
}

// isTrue reads a boolean in either form.
func isTrue(v cdc.Value) bool {
	if v.Kind == cdc.Binary {
		return len(v.Data) == 1 && v.Data[0] == 1
	}
	return string(v.Data) == "t" || string(v.Data) == "true"
}

// textBytes is a value as text; buf gives room for what has to be written out.
func textBytes(v cdc.Value, typ uint32, buf []byte) []byte {
	switch class := classOf(typ); {
	case v.Kind == cdc.Text && typ == oidBpchar:
		return trimPadding(v.Data)
	case v.Kind == cdc.Text:
		return v.Data
	case v.Kind != cdc.Binary:
		return nil
	case class == classBool && isTrue(v):
		return append(buf[:0], 't')
	case class == classBool:
		return append(buf[:0], 'f')
	case class == classNumber:
		if out, ok := appendNumber(buf[:0], v, typ); ok {
			return out
		}
	case class == classUUID && len(v.Data) == 16:
		return appendUUID(buf[:0], v.Data)
	case typ == oidBpchar:
		return trimPadding(v.Data)
	}
	return v.Data
}

// trimPadding takes off the spaces that fill up a char(n): they are no part of it.
func trimPadding(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return b
}

func appendUUID(dst, b []byte) []byte {
	for i, part := range [...][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:16]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}

// canonicalUUID writes a uuid as PostgreSQL prints it.
func canonicalUUID(s string) (string, bool) {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Trim(s, "{}"), "-", ""))
	if err != nil || len(b) != 16 {
		return "", false
	}
	return string(appendUUID(nil, b)), true
}
