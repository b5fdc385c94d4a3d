package replication

import "github.com/schoolbell/schoolbell/cdc"

// serverLSN is a position as the server counts. A cdc.LSN is one of ours: ahead of it by
// the source's offset. They are two types so that neither is taken for the other: what
// the server says is turned into ours where it is read, and back where we write to it.
type serverLSN uint64

// String writes PostgreSQL's notation: what a DBA finds on the server.
func (l serverLSN) String() string { return cdc.LSN(l).String() }

// MarshalText is String for logs.
func (l serverLSN) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// positions are where we stand. They outlive a connection.
type positions struct {
	offset  cdc.LSN  // what ours are ahead of the server's
	handed  cdc.LSN  // the sink was given everything before
	durable cdc.LSN  // the sink has answered for everything before
	last    cdc.Mark // the newest transaction that the sink was given
}

func (p *positions) ours(l serverLSN) cdc.LSN { return cdc.LSN(l) + p.offset }

// theirs is a position of ours as the server counts. What lies before all of its log is
// its beginning.
func (p *positions) theirs(l cdc.LSN) serverLSN { return serverLSN(l - min(l, p.offset)) }

// offsetStep keeps the lower ten digits of our positions those of the server.
const offsetStep = 1 << 40

// offsetFor is the offset with which a log that begins at a position of the server's
// comes after all that the sink was handed: the one we have, unless the server was
// replaced by one that counts from lower.
func offsetFor(at serverLSN, offset, handed cdc.LSN) cdc.LSN {
	if ours := cdc.LSN(at) + offset; ours <= handed {
		offset += offsetStep * ((handed-ours)/offsetStep + 1)
	}
	return offset
}
