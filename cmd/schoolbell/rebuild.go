package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/projection"
	"github.com/schoolbell/schoolbell/cdc/shadow"
)

// openShadow opens the data directory and what is projected there. With rebuild set,
// one whose content is lost is set aside, and a new one begun.
func (g *gateway) openShadow() error {
	err := g.openStore(false)
	lost, isLost := errors.AsType[*shadow.LostError](err)
	if !isLost || !g.cfg.Rebuild {
		return err
	}
	if g.store != nil { // it opened, and what is in it could not be read
		_ = g.store.Close()
		g.store = nil
	}
	aside, err := shadow.SetAside(g.cfg.Data)
	if err != nil {
		return fmt.Errorf("set the data directory aside: %w", err)
	}
	g.log.Warn("the data directory was lost and is filled anew", "reason", lost.Error(), "aside", aside)
	return g.openStore(true)
}

// openStore opens both; anew says that the directory is a new one in the place of one
// that was lost. Then it takes over that one's slot, which has to be durable before
// anything else is: a kill later on would leave an empty directory, and a slot that
// nobody knows.
func (g *gateway) openStore(anew bool) (err error) {
	if g.store, err = shadow.Open(g.cfg.Data, shadow.Config{Log: g.log, Committed: g.metrics.Committed, Synced: g.metrics.Synced}); err != nil {
		return err
	}
	if anew {
		batch := g.store.NewBatch()
		batch.SetCheckpoint(shadow.Checkpoint{Profile: g.profile.Hash()})
		if err := errors.Join(batch.Commit(), g.store.Sync()); err != nil {
			return err
		}
	}
	g.projection, err = projection.Open(g.store, g.profile, g.publish, projection.Config{
		Log: g.log, Emails: g.cfg.ProxyUserBy == "email" || g.cfg.IntrospectEmail != "",
		Students: slices.Contains(g.cfg.Roles.roles(), cdc.Student),
	})
	return err
}
