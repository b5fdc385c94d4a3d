package main

import (
	"fmt"
	"time"

	"github.com/schoolbell/schoolbell/metrics"
	"github.com/schoolbell/schoolbell/wsserver/auth"
)

// info is what the metrics page says of this process once and for all.
func (g *gateway) info() metrics.Info {
	b := readBuild()
	info := metrics.Info{
		Version: b.Version, Revision: b.Revision, GoVersion: b.Go,
		Profile: g.profile.Name(), ProfileHash: g.profile.Hash(),
		Slot: string(g.cfg.Slot), Publication: string(g.cfg.Publication),
	}
	for _, t := range g.profile.Tables() {
		info.Tables = append(info.Tables, t.Schema+"."+t.Name)
	}
	return info
}

// sources is where the metrics page reads what the steps know.
func (g *gateway) sources() metrics.Sources {
	return metrics.Sources{
		Ready: func() bool {
			for _, check := range g.ready() {
				if !check.OK {
					return false
				}
			}
			return true
		},
		Replication: g.replicationMetrics,
		Slot:        g.slotMetrics,
		Snapshot: func() metrics.Snapshot {
			p := g.reader.Status().Snapshot
			return metrics.Snapshot{Rows: p.Rows, Expected: p.Expected, PerSecond: p.PerSecond, Share: p.Share, Remaining: p.Remaining, Done: p.Done}
		},
		Projection: func() metrics.Projection {
			s := g.projection.Stats()
			s.Heard["not_transactional"] = uint64(g.reader.Status().Loose)
			return metrics.Projection{Events: words(s.Events), Unchanged: s.Noops, Messages: s.Heard, People: s.People, Assignments: s.Assignments}
		},
		Router: func() metrics.Router {
			s := g.router.Stats()
			return metrics.Router{
				Subscriptions: s.Subscriptions, Replaying: s.Replaying, Replayed: s.Replayed,
				Drops: s.Slow, Revoked: s.Revoked, Gaps: s.Gaps, Resumed: s.Resumed, Reset: s.Reset, QueueHigh: s.QueueHigh,
			}
		},
		Listener: func() metrics.Listener {
			s := g.server.Limits()
			return metrics.Listener{Limited: s.Limited, Gathered: s.Gathered, Expires: g.certificate.expires()}
		},
		Store:  g.storeMetrics,
		SignIn: g.signInMetrics,
		SelfCheck: func() metrics.SelfCheck {
			return metrics.SelfCheck{Off: g.selfCheck == nil, OK: g.selfCheck.status() == nil}
		},
	}
}

func (g *gateway) replicationMetrics() metrics.Replication {
	s := g.reader.Status()
	m := metrics.Replication{
		State: string(s.State), CaughtUp: s.CaughtUp, Problem: s.Health != nil, Widened: s.Upgrade != nil,
		Publication: s.Sound.Publication, Identity: s.Sound.Identity,
		LagBytes: s.LagBytes, Lag: s.Lag, Transactions: s.Transactions, Reconnects: words(s.Reconnects),
		Resnapshots: words(s.Resnapshots), PutOff: s.PutOff,
	}
	for _, t := range s.Rows {
		m.Rows = append(m.Rows, metrics.TableRows(t))
	}
	return m
}

func (g *gateway) slotMetrics() metrics.Slot {
	s := g.reader.Status().Slot
	return metrics.Slot{
		Active: s.ActivePID != 0, HeldBytes: s.HeldBytes, WALStatus: s.WALStatus,
		ForUs: s.Held.ForUs, ForOpen: s.Held.ForOpen, OldestOpen: s.Held.Oldest.Age(time.Now()),
		SafeBytes: max(s.SafeBytes, 0), Limited: !s.Seen.IsZero() && s.SafeBytes >= 0,
		Invalidated: s.Invalidated, SpilledTransactions: s.Spilled.Transactions, SpilledBytes: s.Spilled.Bytes,
	}
}

func (g *gateway) storeMetrics() metrics.Store {
	s := metrics.Store{Bytes: g.store.DiskUsage(), Events: g.store.HistoryEvents(), Oldest: g.oldest()}
	var err error
	if s.Free, err = g.store.DiskFree(); err != nil {
		s.Free = -1
	}
	return s
}

func (g *gateway) signInMetrics() metrics.SignIn {
	s := metrics.SignIn{Queries: auth.Queries(g.pool)}
	if g.shown != nil {
		s.Known, s.Unknown = g.shown.Remembered()
	}
	return s
}

// oldest is when the oldest event that is kept happened.
func (g *gateway) oldest() time.Time {
	for e, err := range g.store.Events(g.store.Kept(), g.router.Cursor()) {
		if err == nil {
			return e.Time
		}
	}
	return time.Time{}
}

// words writes the keys as the labels of the metrics page, as fmt would.
func words[K comparable, V any](m map[K]V) map[string]V {
	out := make(map[string]V, len(m))
	for k, v := range m {
		out[fmt.Sprint(k)] = v
	}
	return out
}
