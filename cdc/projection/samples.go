package projection

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/schoolbell/schoolbell/cdc"
)

// A Sample is one person and what they would find on their dashboard.
type Sample struct {
	Person cdc.Person
	Counts cdc.Counts
	Titles []string // of assignments that they see, the newest keys first, two at most
}

// sampleTitles is how many titles a Sample has.
const sampleTitles = 2

// Samples answers up to n active people of a role, those who would find the most first.
func (p *Projection) Samples(ctx context.Context, role cdc.Role, n int) ([]Sample, error) {
	samples := p.busiest(role, n)
	for i := range samples {
		views, err := p.Assignments(ctx, samples[i].Person, cdc.ID{}, sampleTitles)
		if err != nil {
			return nil, fmt.Errorf("what %v sees: %w", samples[i].Person.ID, err)
		}
		for _, v := range views {
			samples[i].Titles = append(samples[i].Titles, v.Title)
		}
	}
	return samples, nil
}

// busiest are those who have the most to do.
func (p *Projection) busiest(role cdc.Role, n int) (samples []Sample) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, person := range p.people {
		if person.Active && person.Role == role {
			samples = append(samples, Sample{Person: person.Person, Counts: p.counts[p.scopeOf(role, person.ID)]})
		}
	}
	busy := func(c cdc.Counts) int64 { return c.UngradedSubmissions + c.PendingSubmissions + c.TotalAssignments }
	slices.SortFunc(samples, func(a, b Sample) int {
		return cmp.Or(cmp.Compare(busy(b.Counts), busy(a.Counts)), a.Person.ID.Compare(b.Person.ID))
	})
	return samples[:min(n, len(samples))]
}
