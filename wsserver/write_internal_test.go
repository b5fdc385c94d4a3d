package wsserver

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A line that is slow but moves takes a batch of any size.
func TestASlowLineHasTimeForWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		c := &session{server: &Server{cfg: Config{WriteTimeout: 10 * time.Second}}, conn: ours}
		const size = 10 * (64 << 10)
		read := make(chan int64)
		go func() {
			var n int64
			for n < size {
				time.Sleep(9 * time.Second)
				got, err := io.CopyN(io.Discard, theirs, 64<<10)
				if n += got; err != nil {
					break
				}
			}
			read <- n
		}()
		c.send(&batch{rest: make([]byte, size)})
		require.False(t, c.broken)
		require.EqualValues(t, size, <-read)
	})
}
