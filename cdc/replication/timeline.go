package replication

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/schoolbell/schoolbell/cdc"
)

// fork is where a server's log left one of the timelines that it continues.
type fork struct {
	timeline int32
	at       serverLSN
}

// continues reports whether the log of the timeline now is, up to a position, that of
// the timeline was.
func continues(forks []fork, was, now int32, at serverLSN) bool {
	if was == now {
		return true
	}
	for _, f := range forks {
		if f.timeline == was {
			return f.at >= at
		}
	}
	return false
}

// readForks asks where the server's timeline comes from. The first one comes from
// nowhere, and of an old one the server may have forgotten it.
func readForks(ctx context.Context, c *conn, timeline int32) ([]fork, error) {
	history, err := pglogrepl.TimelineHistory(ctx, c.PgConn, timeline)
	if _, ok := errors.AsType[*pgconn.PgError](err); ok {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the history of timeline %d: %w", timeline, err)
	}
	return parseForks(string(history.Content)), nil
}

// parseForks reads a timeline's history file: per line a timeline, where it was left,
// and why. What is no such line is a comment.
func parseForks(history string) []fork {
	var all []fork
	for line := range strings.Lines(history) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		n, err1 := strconv.ParseInt(fields[0], 10, 32)
		at, err2 := cdc.ParseLSN(fields[1])
		if err1 == nil && err2 == nil {
			all = append(all, fork{int32(n), serverLSN(at)})
		}
	}
	return all
}
