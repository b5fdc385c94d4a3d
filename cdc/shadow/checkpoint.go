package shadow

import (
	"encoding/binary"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
)

// Checkpoint says what the store's content amounts to: everything up to Applied,
// seen through one profile.
type Checkpoint struct {
	cdc.Checkpoint
	Profile  string // hash of the profile that the rows were read with
	Complete bool   // false: a first snapshot is under way
	// Generation is the projection's: which of its keys are true.
	Generation byte
	Begun      []time.Time // when the last snapshots were begun, oldest first; never changed in place
}

// appendCheckpoint writes c and, with it, the position of the newest event that
// it covers. Applied could not stand for that: the next transaction's commit
// record may begin at the very byte where this one's ends.
func appendCheckpoint(dst []byte, c Checkpoint, newest cdc.Position) []byte {
	var complete byte
	if c.Complete {
		complete = 1
	}
	dst = append(dst, complete, c.Generation)
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.Applied))
	dst = appendPosition(dst, newest)
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.Source.Timeline))
	for _, s := range [...]string{c.Source.System, c.Source.Database, c.Source.Slot, c.Source.Lineage, c.Profile} {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	for _, n := range [...]uint64{uint64(c.Source.Offset), uint64(c.Last.XID), uint64(c.Last.Commit), uint64(c.Last.End), uint64(c.Last.Time), uint64(len(c.Begun))} {
		dst = binary.AppendUvarint(dst, n)
	}
	for _, t := range c.Begun {
		dst = appendMoment(dst, t)
	}
	return dst
}

// appendMoment keeps microseconds; the zero time is 0.
func appendMoment(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(dst, 0)
	}
	return binary.AppendVarint(dst, t.UnixMicro())
}

func cutMoment(b []byte) (time.Time, []byte, error) {
	n, size := binary.Varint(b)
	if size <= 0 {
		return time.Time{}, nil, errCutShort
	}
	if n == 0 {
		return time.Time{}, b[size:], nil
	}
	return time.UnixMicro(n).UTC(), b[size:], nil
}

func readCheckpoint(b []byte) (c Checkpoint, newest cdc.Position, err error) {
	if len(b) < 2+8+12+4 {
		return c, newest, errCutShort
	}
	c.Complete, c.Generation = b[0] == 1, b[1]
	c.Applied = cdc.LSN(binary.BigEndian.Uint64(b[2:]))
	newest, b, _ = cutPosition(b[10:])
	c.Source.Timeline = int32(binary.BigEndian.Uint32(b))
	b = b[4:]
	for _, s := range [...]*string{&c.Source.System, &c.Source.Database, &c.Source.Slot, &c.Source.Lineage, &c.Profile} {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return c, newest, errCutShort
		}
		b = b[size:]
		*s, b = string(b[:n]), b[n:]
	}
	var numbers [6]uint64
	for i := range numbers {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			return c, newest, errCutShort
		}
		numbers[i], b = n, b[size:]
	}
	c.Source.Offset = cdc.LSN(numbers[0])
	c.Last = cdc.Mark{XID: uint32(numbers[1]), Commit: cdc.LSN(numbers[2]), End: cdc.LSN(numbers[3]), Time: int64(numbers[4])}
	for range min(numbers[5], uint64(len(b))) {
		var t time.Time
		if t, b, err = cutMoment(b); err != nil {
			return c, newest, err
		}
		c.Begun = append(c.Begun, t)
	}
	return c, newest, nil
}
