package grafana_test

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/deploy/grafana"
)

var update = flag.Bool("update", false, "write schoolbell.json anew")

const file = "schoolbell.json"

// To write the dashboard anew: go test ./deploy/grafana -update
func TestTheDashboardIsThatOfTheDescription(t *testing.T) {
	want, err := grafana.Dashboard()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(file, want, 0o644))
	}
	have, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(have), "write the dashboard anew: go test ./deploy/grafana -update")
}

// Whoever looks at a panel for the first time is on call.
func TestEveryPanelSaysWhatItShowsInWhichUnit(t *testing.T) {
	src, err := os.ReadFile(file)
	require.NoError(t, err)
	var board struct {
		Panels []struct {
			ID                       int
			Type, Title, Description string
			GridPos                  struct{ X, Y, W, H int }
			FieldConfig              struct{ Defaults struct{ Unit string } }
			Targets                  []struct{ Expr, LegendFormat string }
		}
	}
	require.NoError(t, json.Unmarshal(src, &board))
	taken, titles := map[[2]int]string{}, map[string]bool{}
	for i, p := range board.Panels {
		require.Equal(t, i+1, p.ID)
		require.False(t, titles[p.Title], "two panels are called %s", p.Title)
		titles[p.Title] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				require.Less(t, at[0], 24, p.Title)
				require.Empty(t, taken[at], "%s lies over another panel", p.Title)
				taken[at] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		require.Regexp(t, `^[^\n]+\.$`, p.Description, p.Title)
		require.NotEmpty(t, p.FieldConfig.Defaults.Unit, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			require.NotEmpty(t, target.LegendFormat, p.Title)
			require.Contains(t, target.Expr, `{job="$job", instance=~"$instance"`, "%s: of the gateways that are chosen", p.Title)
		}
	}
	require.Greater(t, len(board.Panels), 50)
}
