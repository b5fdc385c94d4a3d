package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
	"github.com/schoolbell/schoolbell/cdc/projection"
	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/cdc/shadow"
)

// dryRun reads the LMS's tables as a first start does, into a shadow that is thrown away
// with it.
type dryRun struct {
	cfg      Config
	profile  *profile.Profile
	progress io.Writer     // of what takes longer than patience
	seen     func(cdc.Row) // every row that is read; nil: nobody looks
	whole    string        // a table of which all rows are read, also those that no section wants; "": none
	last     time.Time     // progress was written

	projection *projection.Projection // for use
	rows       int64
	took       time.Duration
}

// patience is how long the reading may take before its progress is told, and again.
const patience = 2 * time.Second

// errStopped is not told as what it is in the middle of: a cancelled query.
var errStopped = errors.New("interrupted before everything was read; nothing of the dry run is left behind")

// run reads everything and has it used. What it keeps is gone when it returns, however it
// does.
func (d *dryRun) run(ctx context.Context, use func() error) (err error) {
	folder, err := os.MkdirTemp("", "schoolbell-dry-run-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w; fix: set TMPDIR to one that can be written", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if err := d.fill(ctx, folder, use); ctx.Err() != nil {
		return errStopped
	} else if err != nil {
		return err
	}
	return nil
}

// fill reads everything into a shadow in the folder and has it used.
func (d *dryRun) fill(ctx context.Context, folder string, use func() error) error {
	log := slog.New(slog.DiscardHandler)
	store, err := shadow.Open(folder, shadow.Config{Log: log})
	if err != nil {
		return inFolder(folder, err)
	}
	defer store.Close() // what was used of it is said; the folder is removed
	d.projection, err = projection.Open(store, d.profile, func(projection.Result) {}, projection.Config{
		Students: slices.Contains(d.cfg.Roles.roles(), cdc.Student),
	})
	if err != nil {
		return inFolder(folder, err)
	}
	began := time.Now()
	d.last = began
	from := replicationConfig(d.cfg, d.profile, log)
	for i := range from.Tables {
		if from.Tables[i].Name == d.whole {
			from.Tables[i].Where = nil
		}
	}
	err = replication.Look(ctx, from, func(snap *cdc.Snapshot, progress func() replication.Progress) error {
		rows := snap.Rows
		snap.Rows = func(yield func(cdc.Row, error) bool) {
			for row, err := range rows {
				if err == nil {
					d.see(row, progress)
				}
				if !yield(row, err) {
					return
				}
			}
		}
		_, err := d.projection.Reset(ctx, snap)
		if store.Failure() != nil {
			return inFolder(folder, err)
		}
		return err
	})
	if err != nil {
		return err
	}
	d.took = time.Since(began)
	return use()
}

// see notes a row that is being read.
func (d *dryRun) see(row cdc.Row, progress func() replication.Progress) {
	if d.rows++; d.rows%1024 == 0 && time.Since(d.last) > patience {
		d.last = time.Now()
		p := progress()
		fmt.Fprintf(d.progress, "reading %s: %d of about %d rows, %.0f rows/s\n", p.Table, p.Rows, p.Expected, p.PerSecond)
	}
	if d.seen != nil {
		d.seen(row)
	}
}

// inFolder adds to what is wrong with the shadow where it is: the setting `data` has
// nothing to do with it.
func inFolder(folder string, err error) error {
	return fmt.Errorf("%w; a dry run keeps what it reads in %s as long as it lasts: set TMPDIR to a folder on another disk", err, folder)
}
