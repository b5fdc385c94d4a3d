package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/wsserver"
	"github.com/schoolbell/schoolbell/wsserver/web"
)

// effective is the configuration that is in force, and where each setting was given.
type effective struct {
	cfg  Config
	from places
}

// checkConfig says what is wrong with settings that are right each by itself: what serve
// would refuse before it asks the database. All of it at once, each with its remedy.
func checkConfig(ctx context.Context, cfg Config) error {
	p, err := profile.Open(cfg.Profile)
	errs := []error{err, canPublish(cfg)}
	if err == nil {
		errs = append(errs, canSignIn(cfg, p))
		_, err = newIntrospection(cfg, p, nil)
		errs = append(errs, err)
	}
	_, err = newSelfCheck(cfg)
	errs = append(errs, err)
	_, err = signedTokens(ctx, cfg)
	errs = append(errs, err)
	_, err = namedByProxy(cfg, nil, nil)
	errs = append(errs, err)
	_, err = openCertificate(cfg, slog.New(slog.DiscardHandler))
	if err = errors.Join(append(errs, err)...); err != nil {
		return usageError{err}
	}
	return nil
}

// reloading reads the configuration again at each signal until ctx ends.
func (g *gateway) reloading(ctx context.Context, signals <-chan os.Signal, load func() (Config, places, error)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-signals:
			g.reload(ctx, load)
		}
	}
}

// reload takes over what can be changed without a restart, and says of everything else
// that it was not. A configuration with a mistake changes nothing.
func (g *gateway) reload(ctx context.Context, load func() (Config, places, error)) {
	next, from, err := load()
	if err == nil {
		err = checkConfig(ctx, next)
	}
	if err != nil {
		for mistake := range strings.Lines(err.Error()) {
			g.log.Error("the configuration has a mistake and was not reloaded: nothing is changed", "reason", strings.TrimSpace(mistake))
		}
		return
	}
	was := g.effective.Load()
	now := effective{was.cfg, places{}}
	var changes []string
	for _, s := range settings() {
		old, wanted := s.text(was.cfg), s.text(next)
		same := reflect.DeepEqual(reflect.ValueOf(was.cfg).Field(s.index).Interface(), reflect.ValueOf(next).Field(s.index).Interface())
		place := from[s.key]
		switch {
		case same:
		case !s.reloads:
			place = was.from[s.key]
			g.log.Warn("a setting that was changed needs a restart", "setting", s.key,
				"reason", fmt.Sprintf("%s changed from %s to %s: needs a restart; still %s", s.key, old, wanted, old))
		default:
			reflect.ValueOf(&now.cfg).Elem().Field(s.index).Set(reflect.ValueOf(next).Field(s.index))
			changes = append(changes, fmt.Sprintf("%s from %s to %s", s.key, old, wanted))
		}
		if place != "" {
			now.from[s.key] = place
		}
	}
	g.settle(now)
	if g.certificate != nil {
		g.certificate.look()
	}
	g.log.Info("configuration reloaded", "changed", cmp.Or(strings.Join(changes, "; "), "nothing"))
}

// settle puts what can be changed in force.
func (g *gateway) settle(now effective) {
	if was := g.effective.Swap(&now); was == nil || !slices.Equal(was.cfg.FrameAncestors, now.cfg.FrameAncestors) {
		page := web.Handler(ancestors(now.cfg)...)
		g.page.Store(&page)
	}
	if g.server != nil {
		g.server.Reload(serverConfig(now.cfg))
	}
	g.journal.setLevel(now.cfg)
}

// servePage serves the page as the configuration has it now.
func (g *gateway) servePage(w http.ResponseWriter, r *http.Request) {
	(*g.page.Load()).ServeHTTP(w, r)
}

// serverConfig is what the sockets' server has to know of the configuration.
func serverConfig(cfg Config) wsserver.Config {
	return wsserver.Config{
		Heartbeat: cfg.Heartbeat, MetricsInterval: cfg.MetricsInterval, Recheck: cfg.Recheck, Origins: cfg.Origins,
		MaxSessions: cfg.MaxSessions, MaxPerPerson: cfg.MaxSessionsPerPerson, MaxPerAddress: cfg.MaxSessionsPerAddress,
		HandshakeRate: float64(cfg.HandshakesPerAddress), MaxFailures: cfg.AuthFailures, TrustedProxies: cfg.TrustedProxies,
		PublishTokens: cfg.PublishTokens.Reveal(),
	}
}
