package cdc

import (
	"time"
	"unicode/utf8"
)

// timeLayout is RFC 3339 with the microseconds that PostgreSQL keeps (protocol.md).
const timeLayout = "2006-01-02T15:04:05.000000Z07:00"

// AppendJSONTime writes t as a JSON string in UTC.
func AppendJSONTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, timeLayout)
	return append(dst, '"')
}

// isPlain says which bytes stand in a JSON string as they are, whatever is beside them.
var isPlain = func() (plain [256]bool) {
	for c := range plain {
		plain[c] = c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '<'
	}
	return plain
}()

// AppendJSONString writes s as a JSON string. Bytes that are no UTF-8 become
// U+FFFD: a text frame must be UTF-8, and a database in SQL_ASCII promises nothing.
func AppendJSONString[S ~string | ~[]byte](dst []byte, s S) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if isPlain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			// U+2028 and U+2029 end a line in JavaScript source; escaping them costs nothing.
			if (r == utf8.RuneError && size == 1) || r == 0x2028 || r == 0x2029 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
				start = i + size
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
