package replication

import (
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// input is what the server has sent and nobody has read yet.
//
// While the log is followed, its messages are given out where they lie. Everything else
// is pgproto3's to read, which takes as much as it can get and copies it once more; it is
// given one message at a time, so that it never holds anything of the next one.
type input struct {
	r        io.Reader
	size     int // of buf, unless a message is larger
	buf      []byte
	from, to int       // of buf: what was not read yet
	left     int64     // bytes of the message that pgproto3 is reading
	at       time.Time // when the last read ended: one look at the clock per read, and none per message
	heard    time.Time // when the last byte came
}

const (
	inputSize  = 64 << 10 // what is taken from the connection at once, unless it gathers more
	inputKept  = 1 << 20  // a buffer that one message made larger is given back after it
	headerSize = 5        // of a message: its kind, and the length of all that follows the kind
	lengthSize = headerSize - 1
	bodyAtMost = 1<<30 - 2 // pgproto3 takes no larger one, and the server sends none
)

func newInput(r io.Reader, size int) *input {
	return &input{r: r, size: size, buf: make([]byte, size)}
}

// copyData is the body of the next message where that is CopyData, as all of the log is.
// It is valid until anything else is read. Otherwise ok is false and pgproto3 has to read
// the message. After a deadline it goes on where it was.
func (in *input) copyData() (body []byte, ok bool, err error) {
	if in.left > 0 {
		return nil, false, nil
	}
	header, err := in.peek(headerSize)
	if err != nil || header[0] != 'd' {
		return nil, false, err
	}
	length := binary.BigEndian.Uint32(header[1:])
	if length < lengthSize || length > lengthSize+bodyAtMost {
		return nil, false, nil
	}
	message, err := in.peek(1 + int(length))
	if err != nil {
		return nil, false, err
	}
	in.from += len(message)
	return message[headerSize:], true, nil
}

// Read is how pgproto3 reads.
func (in *input) Read(p []byte) (int, error) {
	if in.left == 0 {
		header, err := in.peek(headerSize)
		if err != nil {
			return 0, err
		}
		// One that is shorter than its own length is for pgproto3 to refuse.
		in.left = 1 + max(lengthSize, int64(binary.BigEndian.Uint32(header[1:])))
	}
	if _, err := in.peek(1); err != nil {
		return 0, err
	}
	n := copy(p[:min(int64(len(p)), in.left)], in.buf[in.from:in.to])
	in.from += n
	in.left -= int64(n)
	return n, nil
}

// more reports whether something has arrived that was not read yet.
func (in *input) more() bool { return in.to > in.from || in.left > 0 }

// peek waits until n bytes are there and shows them.
func (in *input) peek(n int) ([]byte, error) {
	for in.to-in.from < n {
		// What came with an error counts, and the next read says the same.
		if err := in.fill(n); err != nil && in.to-in.from < n {
			return nil, err
		}
	}
	return in.buf[in.from : in.from+n : in.from+n], nil
}

// fill reads some of n bytes that are not all there. The buffer grows with what has come
// and not with what was announced: that may be a lie.
func (in *input) fill(n int) error {
	in.from, in.to = 0, copy(in.buf, in.buf[in.from:in.to])
	switch {
	case in.to == 0 && len(in.buf) > inputKept:
		in.buf = make([]byte, in.size)
	case in.to == len(in.buf):
		grown := make([]byte, min(n, 2*len(in.buf)))
		copy(grown, in.buf)
		in.buf = grown
	}
	read, err := in.r.Read(in.buf[in.to:])
	in.to += read
	in.at = time.Now()
	if read > 0 {
		in.heard = in.at
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF // as pgproto3 calls it: nothing that we read ends so
	}
	return err
}
