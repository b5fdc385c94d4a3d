package shadow

import (
	"encoding/binary"

	"github.com/schoolbell/schoolbell/cdc"
)

// Checkpoint says what the store's content amounts to: everything up to Applied,
// seen through one profile.
type Checkpoint struct {
	cdc.Checkpoint
	Profile  string // hash of the profile that the rows were read with
	Complete bool   // false: a snapshot is under way
}

// appendCheckpoint writes c and, with it, the position of the newest event that
// it covers. Applied could not stand for that: the next transaction's commit
// record may begin at the very byte where this one's ends.
func appendCheckpoint(dst []byte, c Checkpoint, newest cdc.Position) []byte {
	var complete byte
	if c.Complete {
		complete = 1
	}
	dst = append(dst, complete)
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.Applied))
	dst = appendPosition(dst, newest)
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.Source.Timeline))
	for _, s := range [...]string{c.Source.System, c.Source.Database, c.Source.Slot, c.Profile} {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	return dst
}

func readCheckpoint(b []byte) (c Checkpoint, newest cdc.Position, err error) {
	if len(b) < 1+8+12+4 {
		return c, newest, errCutShort
	}
	c.Complete = b[0] == 1
	c.Applied = cdc.LSN(binary.BigEndian.Uint64(b[1:]))
	newest, b, _ = cutPosition(b[9:])
	c.Source.Timeline = int32(binary.BigEndian.Uint32(b))
	b = b[4:]
	for _, s := range [...]*string{&c.Source.System, &c.Source.Database, &c.Source.Slot, &c.Profile} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return c, newest, errCutShort
		}
		b = b[size:]
		*s, b = string(b[:n]), b[n:]
	}
	return c, newest, nil
}
