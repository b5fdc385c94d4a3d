package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/projection"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/cdc/shadow"
	"github.com/schoolbell/schoolbell/cmd/schoolbell/logs"
	"github.com/schoolbell/schoolbell/metrics"
	"github.com/schoolbell/schoolbell/router"
	"github.com/schoolbell/schoolbell/wsserver"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// gateway is the line, joined: log, projection, router, sockets.
type gateway struct {
	cfg        Config // as it was at the start
	effective  atomic.Pointer[effective]
	log        *slog.Logger
	journal    *journal
	profile    *profile.Profile
	store      *shadow.Store
	projection *projection.Projection
	reader     *replication.Reader
	router     *router.Router
	pool       *pgxpool.Pool
	signIn     *signIn
	shown      *auth.Introspection // nil: no credential is shown to the LMS
	selfCheck  *selfCheck          // nil: off
	disk       diskWatch
	server     *wsserver.Server
	metrics    *metrics.Metrics
	page       atomic.Pointer[http.Handler]

	certificate   *certificate // nil: the listener speaks plain HTTP
	public, admin net.Listener
	filled        chan struct{} // closed when the shadow holds the database
}

// lateAfter is how far behind the log still counts as ready.
const lateAfter = 30 * time.Second

// openGateway joins the steps and takes the two addresses. Nothing runs yet; close
// ends it.
//
// from is where each setting was given. adopt allows to go on with another server than
// the one that the store's positions are of.
func openGateway(ctx context.Context, cfg Config, from places, adopt bool, j *journal) (g *gateway, err error) {
	log := j.Logger
	g = &gateway{cfg: cfg, log: log, journal: j, filled: make(chan struct{})}
	g.settle(effective{cfg, from})
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	if g.profile, err = profile.Open(cfg.Profile); err != nil {
		return g, usageError{err}
	}
	g.metrics = metrics.New(g.info(), g.sources()) // it asks nothing before the first scrape
	log = slog.New(g.metrics.Logs(log.Handler()))
	g.log = log
	if err = canSignIn(cfg, g.profile); err != nil {
		return g, usageError{err}
	}
	if err = canPublish(cfg); err != nil {
		return g, usageError{err}
	}
	if g.selfCheck, err = newSelfCheck(cfg); err != nil {
		return g, usageError{err}
	}
	signed, err := signedTokens(ctx, cfg)
	if err != nil {
		return g, usageError{err}
	}
	named, err := namedByProxy(cfg, g.byEmail, log)
	if err != nil {
		return g, usageError{err}
	}
	if g.shown, err = newIntrospection(cfg, g.profile, g.byEmail); err != nil {
		return g, usageError{err}
	}
	if g.certificate, err = openCertificate(cfg, log); err != nil {
		return g, usageError{err}
	}
	if g.public, err = listen(string(cfg.Listen), "listen"); err != nil {
		return g, err
	}
	if g.certificate != nil {
		g.public = g.certificate.seal(g.public)
	}
	if g.admin, err = listen(string(cfg.AdminListen), "admin_listen"); err != nil {
		return g, err
	}
	if err = g.openShadow(); err != nil {
		return g, err
	}
	if g.pool, err = auth.OpenPool(ctx, cfg.Database.Reveal()); err != nil {
		return g, err
	}
	g.signIn = newSignIn(waysOf(cfg, g.profile, g.pool, signed, named, g.shown), g.metrics.Attempted)
	at, begun := g.store.Checkpoint()
	following := g.following(at, begun, adopt)
	g.reader = replication.New(following)
	g.router = router.New(g.store, router.Config{
		Queue: cfg.Queue, BulkLimit: cfg.BulkLimit, Roles: cfg.Roles.roles(), Log: log,
		End:      func() cdc.LSN { return g.reader.Status().ServerEnd },
		WasAdmin: g.projection.WasAdmin,
	})
	if at.Complete {
		g.router.Start(g.projection.Cursor())
		close(g.filled)
	}
	g.selfCheck.join(g, following)
	sc := serverConfig(cfg)
	sc.SelfCheckToken = g.selfCheck.key()
	g.server = wsserver.New(wsserver.Deps{
		Router:   g.router,
		Auth:     g.signIn,
		People:   g.projection,
		Overview: g.projection,
		Publish:  g.projection.Publish,
		Ready:    g.ready,
		Pulse:    g.pulse,
		Page:     http.HandlerFunc(g.servePage),
		Observer: g.metrics,
		Log:      log,
	}, sc)
	return g, nil
}

// byEmail answers whose e-mail it is, for the ways that name people by it.
func (g *gateway) byEmail(email string) (user string, accounts int) {
	id, accounts := g.projection.ByEmail(email)
	return id.String(), accounts
}

func ancestors(cfg Config) []string {
	var sources []string
	for _, a := range cfg.FrameAncestors {
		sources = append(sources, a.source())
	}
	return sources
}

func replicationConfig(cfg Config, p *profile.Profile, log *slog.Logger) replication.Config {
	return replication.Config{
		URL: cfg.Database.Reveal(), Slot: string(cfg.Slot), Publication: string(cfg.Publication),
		Tables: p.Tolerant(), Log: log, Messages: cfg.SQLMessages, Echo: noEcho(cfg),
		Suits: func(t *cdc.Table) error {
			_, err := p.Bind(t)
			return err
		},
		Remedy: func(schema, table, column string, have []string) (meant, fix string) {
			missing, _ := errors.AsType[*profile.MissingColumnError](p.MissingColumn(schema, table, column, have))
			return missing.Nearest, missing.Fix
		},
	}
}

// following is replicationConfig, and what only who follows the log has to say: from
// where, and what of it has to be remembered.
func (g *gateway) following(at shadow.Checkpoint, begun, adopt bool) replication.Config {
	rc := replicationConfig(g.cfg, g.profile, g.log)
	rc.Interrupted, rc.Begun = begun && !at.Complete, at.Begun
	rc.Claim, rc.Moved, rc.Stale = g.projection.Claim, g.projection.Moved, g.projection.Stale()
	rc.Echo = g.selfCheck.echo()
	rc.Adopt, rc.SnapshotsPerHour = adopt, g.cfg.SnapshotsPerHour
	return rc
}

// listen takes an address at once, so that one in use is found before anything
// has begun.
func listen(address, key string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; fix: choose another address, or end the program that has it", key, err)
	}
	return l, nil
}

func (g *gateway) close() error {
	var errs []error
	for _, l := range []net.Listener{g.public, g.admin} {
		if l != nil {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if g.pool != nil {
		g.pool.Close()
	}
	if g.store != nil {
		errs = append(errs, g.store.Close())
	}
	return errors.Join(errs...)
}

// run serves until ctx ends, which is its normal end, or a part fails for good.
//
// The end: accept nobody, let the sessions go, stop the reader, which confirms
// the last position.
func (g *gateway) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	// The reader, and with it the heartbeats, outlive ctx until the sessions are gone.
	reading, stopReading := context.WithCancel(context.WithoutCancel(ctx))
	defer stopReading()

	var from cdc.Checkpoint
	if at, _ := g.store.Checkpoint(); at.Complete {
		from = at.Checkpoint
	}
	group.Go(func() error { return g.reader.Run(reading, sink{g}, from) })
	group.Go(func() error { return g.reader.Watch(reading) })
	group.Go(func() error { return g.server.Run(reading) })
	group.Go(func() error { return g.selfCheck.run(ctx) })
	group.Go(func() error { return g.disk.watch(ctx, g.store) })
	group.Go(func() error { return g.trim(ctx) })
	group.Go(func() error { return g.signIn.watch(ctx) })
	group.Go(func() error {
		select {
		case <-g.store.Failed(): // it takes nothing more, and a new start is the remedy
			return g.store.Failure()
		case <-ctx.Done():
			return nil
		}
	})

	if g.certificate != nil {
		group.Go(func() error { return g.certificate.watch(ctx) })
	}
	complaints := slog.NewLogLogger(g.log.Handler(), slog.LevelDebug) // of what clients send; no address and no header is in them
	public := &http.Server{
		Handler: g.server.Handler(), ConnState: g.server.ConnState, MaxHeaderBytes: 16 << 10, ErrorLog: complaints, HTTP2: second(),
		// These end with the upgrade; a session has deadlines of its own.
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
	}
	admin := &http.Server{
		Handler: g.adminHandler(), MaxHeaderBytes: 16 << 10, ErrorLog: complaints,
		ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
	}
	group.Go(func() error { return serveHTTP(public, g.public) })
	group.Go(func() error { return serveHTTP(admin, g.admin) })
	g.log.Info("listening", "dashboards", g.public.Addr().String(), "admin", g.admin.Addr().String())

	group.Go(func() error {
		<-ctx.Done()
		g.log.Info("stopping", "reason", context.Cause(ctx), "sessions", g.server.Sessions())
		defer stopReading()
		return g.dismiss(context.WithoutCancel(ctx), public, admin)
	})
	return group.Wait()
}

// Whoever stops us waits for five seconds or so before they kill. The reader needs one
// of them where the server is in the middle of sending something large.
const (
	drainAtMost  = 2500 * time.Millisecond
	answerAtMost = 300 * time.Millisecond // requests that are being answered
)

// dismiss lets everybody go. Nobody can hold it up: who does not answer a goodbye, or has
// sent half a request, is left.
func (g *gateway) dismiss(ctx context.Context, servers ...*http.Server) error {
	draining, cancel := context.WithTimeout(ctx, drainAtMost)
	defer cancel()
	if err := g.server.Drain(draining); err != nil {
		g.log.Warn("clients did not answer the goodbye", "reason", err)
	}
	answering, cancel := context.WithTimeout(ctx, answerAtMost)
	defer cancel()
	var errs []error
	for _, s := range servers {
		err := s.Shutdown(answering)
		if errors.Is(err, context.DeadlineExceeded) {
			err = s.Close() // which also ends the requests' questions to the database
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func serveHTTP(s *http.Server, l net.Listener) error {
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// adminHandler serves what only the people on call should see, and change. pprof's cmdline is not
// there: the command line may hold the database's password.
func (g *gateway) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", g.metrics.Handler())
	mux.Handle("GET /readyz", g.server.Handler())
	mux.Handle("/log-level", logs.LevelHandler(g.journal.level, g.log))
	mux.HandleFunc("GET /log", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		_, _ = w.Write(g.journal.recent.Bytes())
	})
	mux.HandleFunc("GET /config", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		now := g.effective.Load()
		writeConfig(w, now.cfg, now.from)
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return http.NewCrossOriginProtection().Handler(mux)
}

// trimEvery is how often old events are looked for.
const trimEvery = time.Minute

// trim removes events that are too old or too many, and forgets the keys of
// idempotency that are.
func (g *gateway) trim(ctx context.Context) error {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		cfg := g.effective.Load().cfg
		removed, err := g.store.Trim(time.Now().Add(-cfg.HistoryAge), int64(cfg.HistorySize))
		if err != nil {
			return fmt.Errorf("trim the history: %w", err)
		}
		if _, err := g.projection.ForgetKeys(time.Now().Add(-cfg.HistoryAge)); err != nil {
			return fmt.Errorf("forget keys of idempotency: %w", err)
		}
		if removed > 0 {
			g.log.Info("old events removed from the history", "events", removed)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
