package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// SessionTable says where a Django LMS keeps its sessions and its accounts, and under
// which name browsers send the key of a session. The columns are Django's own.
type SessionTable struct {
	Schema, Table         string // session_key, session_data, expire_date
	UserSchema, UserTable string // id, password
	Cookie                string
}

// String is the name of the sessions' table as SQL writes it.
func (t SessionTable) String() string { return pgx.Identifier{t.Schema, t.Table}.Sanitize() }

func (t SessionTable) users() string {
	return pgx.Identifier{t.UserSchema, t.UserTable}.Sanitize()
}

// SessionConfig is what the LMS's settings say of sessions.
type SessionConfig struct {
	Secrets  []string // SECRET_KEY, and after it SECRET_KEY_FALLBACKS; at least one
	Backends []string // of AUTHENTICATION_BACKENDS, those whose sessions count; none: all
}

// Sessions is the Way of the LMS's own session cookie, for an LMS on Django 3.2 or
// later that keeps its sessions in the database. A session counts while Django would
// take it: it is signed with the LMS's secret, has not ended, and the password is the
// one with which the person signed in.
type Sessions struct {
	pool     *pgxpool.Pool
	table    SessionTable
	secrets  *djangoSecrets // behind a pointer, where no verb of fmt follows
	backends []string
	query    string

	gathered *gatherer[*djangoSession]
}

// NewSessions asks through a pool that OpenPool made; the pool stays the caller's.
func NewSessions(pool *pgxpool.Pool, table SessionTable, cfg SessionConfig) *Sessions {
	// One question for both tables. Whether a session has ended says the clock of the
	// database; how long it lasts is told as a duration, as ours may be another one.
	query := fmt.Sprintf(`SELECT false, session_key::text,
			CASE WHEN octet_length(session_data) <= %d THEN session_data::text END,
			extract(epoch FROM least(expire_date, now() + interval '10 years') - now())::float8
		FROM %s WHERE session_key = ANY($1) AND expire_date > now()
		UNION ALL SELECT true, id::text, password::text, 0 FROM %s WHERE id = ANY($2)`, largestSession, table, table.users())
	s := &Sessions{pool: pool, table: table, secrets: newDjangoSecrets(cfg.Secrets), backends: cfg.Backends, query: query}
	s.gathered = &gatherer[*djangoSession]{question: s.sessions}
	return s
}

// String names the table; the secrets, the pool's address and password stay inside.
func (s *Sessions) String() string { return "sessions in " + s.table.String() }

// Name is "session".
func (*Sessions) Name() string { return "session" }

// Authenticate says whose session the request's cookie names. It asks twice: for the
// session, and for the password of the account in it.
func (s *Sessions) Authenticate(ctx context.Context, r *http.Request) (Identity, error) {
	key, err := s.fromCookie(r)
	if err != nil {
		return Identity{}, err
	}
	session, err := s.session(ctx, key)
	switch {
	case err != nil:
		return Identity{}, unknown(ctx, "look up a session", s.explain(err))
	case session == nil:
		return Identity{}, fmt.Errorf("%w: the session is not known, or has ended", ErrUnauthenticated)
	case session.err != nil:
		return Identity{}, fmt.Errorf("%w: %w", ErrUnauthenticated, session.err)
	}
	found, err := s.look(ctx, []string{}, []string{session.user})
	if err != nil && !unfit(err) {
		return Identity{}, unknown(ctx, "look up the account of a session", s.explain(err))
	}
	found.sessions = map[string]*djangoSession{key.key: session}
	id := Identity{User: session.user, Way: s.Name(), Expires: session.ends, proof: key}
	if !s.proves(found, &id) {
		return Identity{}, fmt.Errorf("%w: the session's account is gone, or has another password now", ErrUnauthenticated)
	}
	return id, nil
}

// session is the session with a key, nil if there is none. Its account is not asked for
// together with others': only who has a session that the LMS signed gets so far.
func (s *Sessions) session(ctx context.Context, key secret) (*djangoSession, error) {
	if isGathered(ctx) {
		return s.gathered.of(ctx, key.key)
	}
	found, err := s.look(ctx, []string{key.key}, []string{})
	return found.sessions[key.key], err
}

// sessions are those with some keys.
func (s *Sessions) sessions(ctx context.Context, keys []string) (map[string]*djangoSession, error) {
	found, err := s.rows(ctx, keys, []string{})
	return found.sessions, err
}

// fromCookie takes the key of a session. Of several cookies the last one counts, as
// for Django.
func (s *Sessions) fromCookie(r *http.Request) (secret, error) {
	cookies := r.CookiesNamed(s.table.Cookie)
	if len(cookies) == 0 || cookies[len(cookies)-1].Value == "" {
		return secret{}, ErrNoCredential
	}
	key := secret{cookies[len(cookies)-1].Value}
	return key, key.possible()
}

// Recheck says which sessions have ended: logged out, expired, or older than the
// password. It asks once for every thousand, and moves Expires where the LMS did.
func (s *Sessions) Recheck(ctx context.Context, ids []Identity) (revoked []int, err error) {
	ctx = asking(ctx, forRecheck)
	first := 0
	for part := range slices.Chunk(ids, most) {
		keys, users := make([]string, len(part)), make([]string, len(part))
		for i, id := range part {
			keys[i], users[i] = id.proof.key, id.User
		}
		found, err := s.look(ctx, keys, users)
		if err != nil {
			return revoked, unknown(ctx, "look sessions up again", s.explain(err))
		}
		for i := range part {
			if !s.proves(found, &part[i]) {
				revoked = append(revoked, first+i)
			}
		}
		first += len(part)
	}
	return revoked, nil
}

// proves reports whether what was found proves an identity, and until when.
func (s *Sessions) proves(found answers, id *Identity) bool {
	session, ok := found.sessions[id.proof.key]
	if !ok || session.err != nil || session.user != id.User {
		return false
	}
	password, ok := found.passwords[id.User]
	if !ok || !s.secrets.vouches(session.hash, password) {
		return false
	}
	id.Expires = session.ends
	return true
}

// answers are what the tables say.
type answers struct {
	sessions  map[string]*djangoSession // by key
	passwords map[string]string         // as they are stored, by the account's key
}

// djangoSession is a session that has not ended.
type djangoSession struct {
	djangoLogin
	ends time.Time
	err  error // why it proves nothing all the same
}

// look asks for sessions and for passwords.
func (s *Sessions) look(ctx context.Context, keys, users []string) (found answers, err error) {
	err = ask(ctx, func(ctx context.Context) (err error) {
		found, err = s.rows(ctx, keys, users)
		return err
	})
	return found, err
}

// rows reads what look asks for. A row is read and forgotten, so that a thousand large
// ones take no memory.
func (s *Sessions) rows(ctx context.Context, keys, users []string) (answers, error) {
	found := answers{make(map[string]*djangoSession, len(keys)), make(map[string]string, len(users))}
	rows, err := s.pool.Query(ctx, s.query, keys, users)
	if err != nil {
		return found, err
	}
	var account bool
	var key string
	var text *string
	var left float64
	_, err = pgx.ForEachRow(rows, []any{&account, &key, &text, &left}, func() error {
		switch {
		case !account:
			found.sessions[key] = s.read(text, left)
		case text == nil:
			found.passwords[key] = "None" // as Python writes an account without a password
		default:
			found.passwords[key] = *text
		}
		return nil
	})
	return found, err
}

// read opens a session that ends after some seconds.
func (s *Sessions) read(data *string, left float64) *djangoSession {
	session := &djangoSession{}
	if data == nil {
		session.err = fmt.Errorf("the session is larger than %d bytes", largestSession)
		return session
	}
	session.ends = time.Now().Add(time.Duration(left * float64(time.Second)))
	if session.djangoLogin, session.err = s.secrets.open(*data); session.err != nil {
		return session
	}
	if len(s.backends) > 0 && !slices.Contains(s.backends, session.backend) {
		session.err = errors.New("the session is of a backend that does not count here")
	}
	return session
}

// Check reports what keeps sessions from being looked up, with the remedy.
func (s *Sessions) Check(ctx context.Context) error {
	ctx = asking(ctx, forCheck)
	if _, err := s.look(ctx, []string{}, []string{}); err != nil {
		return s.explain(err)
	}
	return nil
}
