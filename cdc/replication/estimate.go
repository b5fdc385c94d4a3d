package replication

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Estimate is what a snapshot would read, by the planner's estimate.
type Estimate struct {
	Rows   int64
	Tables int
	Took   time.Duration // what it will take, at the pace that was measured
}

// rowsPerSecond is how many rows of a snapshot are read in a second: measured, with narrow
// rows, on two shared cores.
const rowsPerSecond = 100_000

// EstimateSnapshot asks the planner, which reads nothing. It counts what is there, also
// of tables that nobody has analyzed.
func EstimateSnapshot(ctx context.Context, cfg Config) (Estimate, error) {
	cfg = cfg.withDefaults()
	c, err := connectValid(ctx, cfg)
	if err != nil {
		return Estimate{}, err
	}
	defer c.close(ctx)
	tables, err := readTables(ctx, c, cfg.Tables, cfg.Role)
	if err != nil {
		return Estimate{}, err
	}
	e := Estimate{Tables: len(tables)}
	for _, t := range tables {
		if t.oid == 0 {
			continue // which is told elsewhere
		}
		text, err := c.value(ctx, "EXPLAIN (FORMAT JSON) SELECT FROM ONLY "+qualified(t.spec.Schema, t.spec.Name)+t.where())
		if err != nil {
			return Estimate{}, explainSQL(err, "read table "+t.String(), "schoolbell init")
		}
		var plans []struct {
			Plan struct {
				Rows int64 `json:"Plan Rows"`
			}
		}
		if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) != 1 {
			return Estimate{}, fmt.Errorf("read what the planner says of table %v: %q", t, text)
		}
		e.Rows += plans[0].Plan.Rows
	}
	e.Took = time.Duration(e.Rows) * time.Second / rowsPerSecond
	return e, nil
}
