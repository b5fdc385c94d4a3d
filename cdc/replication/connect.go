package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// conn is one connection. Its SQL goes through the simple protocol: a walsender
// takes no other.
type conn struct {
	*pgconn.PgConn
	in      *input
	socket  *gathering // nil but for replication
	version int        // server_version_num / 10000
}

// purpose is what a connection is for.
type purpose byte

const (
	forSQL purpose = iota
	forReplication
	forWatching // SQL that never waits long
)

// stable are the settings that fix the text form of values. As startup parameters
// they win over ALTER ROLE and ALTER DATABASE, in a walsender too, so that a value
// reads the same in the snapshot and in the stream.
func stable() map[string]string {
	return map[string]string{
		"client_encoding":             "UTF8",
		"timezone":                    "UTC",
		"datestyle":                   "ISO, YMD",
		"intervalstyle":               "postgres",
		"extra_float_digits":          "1",
		"bytea_output":                "hex",
		"standard_conforming_strings": "on",
		"statement_timeout":           "0",
		"lock_timeout":                "0",
		// The connection that exports a snapshot is idle in a transaction for as long
		// as the snapshot is read.
		"idle_in_transaction_session_timeout": "0",
	}
}

func connect(ctx context.Context, cfg Config, why purpose) (*conn, error) {
	pc, err := pgconn.ParseConfig(cfg.URL)
	if err != nil {
		// Its text may hold a part of the password.
		return nil, &SetupError{
			Setting: "database URL", Got: "not readable", Want: "postgres://user:password@host:port/database",
			Fix: "correct the database URL; characters like @ : / ? # % in the password must be written as %40 %3A %2F %3F %23 %25",
		}
	}
	for name, value := range stable() {
		pc.RuntimeParams[name] = value
	}
	if pc.RuntimeParams["application_name"] == "" {
		pc.RuntimeParams["application_name"] = "schoolbell"
	}
	switch why {
	case forReplication:
		pc.RuntimeParams["replication"] = "database"
	case forWatching:
		pc.RuntimeParams["statement_timeout"] = "5000"
		pc.RuntimeParams["lock_timeout"] = "1000"
	}
	if pc.ConnectTimeout == 0 {
		pc.ConnectTimeout = 10 * time.Second
	}
	c, size := &conn{}, inputSize
	if why == forReplication {
		pc.DialFunc, size = gather(pc.DialFunc), 2*gatherBytes
	}
	pc.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		c.in = newInput(r, size)
		return pgproto3.NewFrontend(c.in, w)
	}
	c.PgConn, err = pgconn.ConnectConfig(ctx, pc)
	if err != nil {
		return nil, explainConnect(ctx, cfg, pc, why, err)
	}
	if why == forReplication {
		c.socket = below(c.Conn())
	}
	if err := c.settle(ctx); err != nil {
		c.close(ctx)
		return nil, err
	}
	return c, nil
}

// settle learns the version and switches off the timeouts that only newer servers have.
func (c *conn) settle(ctx context.Context) error {
	_, err := c.query(ctx, `SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings
		WHERE name IN ('idle_session_timeout', 'transaction_timeout')`)
	if err != nil {
		return fmt.Errorf("prepare the connection: %w", err)
	}
	n, err := c.value(ctx, "SHOW server_version_num")
	if err != nil {
		return fmt.Errorf("ask for the server's version: %w", err)
	}
	num, err := strconv.Atoi(n)
	c.version = num / 10000
	return err
}

// wake ends the read that waits, or else the next one.
func (c *conn) wake() {
	_ = c.Conn().SetReadDeadline(time.Unix(1, 0)) // fails only once it is closed, and then nobody waits
}

// close says goodbye, also when ctx has ended.
func (c *conn) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = c.Close(ctx) // nothing is lost with it
}

// explainConnect says why there is no connection, in one sentence with its remedy.
func explainConnect(ctx context.Context, cfg Config, pc *pgconn.Config, why purpose, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		if server.Code == "42501" && why == forReplication {
			plain, err := connect(ctx, cfg, forWatching)
			if err != nil {
				return err
			}
			plain.close(ctx)
			return noReplicationRight(pc.User, server)
		}
		return explainRefusal(pc, server)
	}
	return explainDial(pc, err)
}

func explainRefusal(pc *pgconn.Config, err *pgconn.PgError) *SetupError {
	e := &SetupError{cause: err}
	switch err.Code {
	case "28P01":
		e.Setting, e.Got, e.Want = "password of role "+quoted(pc.User), "refused by the server", "the role's password"
		e.Fix = "correct the password in the database URL, or set it: ALTER ROLE " + ident(pc.User) + " PASSWORD '...'"
	case "28000":
		e.Setting, e.Got, e.Want = "login of role "+quoted(pc.User), "refused by the server ("+err.Message+")", "an existing role that pg_hba.conf lets in"
		e.Fix = fmt.Sprintf("create the role with LOGIN, or add to pg_hba.conf and reload: host %s %s <our address>/32 scram-sha-256", ident(pc.Database), ident(pc.User))
	case "3D000":
		e.Setting, e.Got, e.Want = "database "+quoted(pc.Database), "not on this server", "the LMS's database"
		e.Fix = "correct the database name in the database URL; psql -l lists the names"
	case "42501":
		e.Setting, e.Got, e.Want = "CONNECT right of role "+quoted(pc.User), "missing", "granted"
		e.Fix = "GRANT CONNECT ON DATABASE " + ident(pc.Database) + " TO " + ident(pc.User)
	case "53300":
		e.passing = true
		e.Setting, e.Got, e.Want = "number of connections", "at its limit ("+err.Message+")", "one more"
		e.Fix = "end connections that nobody needs, or raise max_connections, max_wal_senders or the role's connection limit"
	case "57P03", "57P01", "57P02":
		e.passing = true
		e.Setting, e.Got, e.Want = "server at "+address(pc), "not ready ("+err.Message+")", "accepting connections"
		e.Fix = "wait until it has started; if it does not, read the server's log"
	default:
		e.passing = true
		e.Setting, e.Got, e.Want = "server at "+address(pc), "refusing us ("+err.Message+", SQLSTATE "+err.Code+")", "accepting connections"
		e.Fix = "read the server's log"
	}
	return e
}

func explainDial(pc *pgconn.Config, err error) *SetupError {
	e := &SetupError{Setting: "server at " + address(pc), Want: "a PostgreSQL that answers", passing: true, cause: err}
	lookup, isLookup := errors.AsType[*net.DNSError](err)
	network, isNetwork := errors.AsType[net.Error](err)
	switch {
	case isLookup && lookup.IsNotFound:
		e.passing = false
		e.Got, e.Fix = "nowhere: the name "+quoted(pc.Host)+" does not exist", "correct the host in the database URL"
	case isLookup:
		e.Got, e.Fix = "nowhere: the name "+quoted(pc.Host)+" cannot be looked up", "make the name server reachable"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		e.Got, e.Fix = "not running", "start PostgreSQL, or correct host and port in the database URL"
	case isNetwork && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		e.Got, e.Fix = "not answering", "open the way to it in the firewall, or correct host and port in the database URL"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		e.Got, e.Fix = "closing the connection at once", "read the server's log; a server that is starting or stopping does this for a moment"
	case strings.Contains(err.Error(), "tls error"):
		e.passing = false
		e.Got, e.Fix = "not speaking TLS as we ask for it ("+err.Error()+")", "correct sslmode and sslrootcert in the database URL"
	default:
		e.Got, e.Fix = "not reachable ("+err.Error()+")", "correct host and port in the database URL"
	}
	return e
}

func address(pc *pgconn.Config) string {
	_, addr := pgconn.NetworkAddress(pc.Host, pc.Port)
	return addr
}

func noReplicationRight(role string, cause error) *SetupError {
	return &SetupError{
		Setting: "REPLICATION right of role " + quoted(role), Got: "missing", Want: "granted",
		Fix:   "ALTER ROLE " + ident(role) + " REPLICATION (on Amazon RDS: GRANT rds_replication TO " + ident(role) + ")",
		cause: cause,
	}
}
