package profile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc"
	"github.com/schoolbell/schoolbell/cdc/profile"
)

// FuzzParse: whatever is in a file, it gives a profile or sentences with places,
// and a profile can be bound to any table without a panic.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/mistakes/*.yaml", "builtin/*.yaml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, file := range files {
			src, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		p, err := profile.Parse("fuzz.yaml", src)
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				require.Regexp(t, `^\S.*:\d+:\d+: .`, line)
			}
			_, ok := errors.AsType[*profile.Mistake](err)
			require.True(t, ok)
			return
		}
		require.Len(t, p.Hash(), 16)
		for _, spec := range p.Tables() {
			table := &cdc.Table{Schema: spec.Schema, Name: spec.Name, Identity: cdc.IdentityDefault}
			_, _ = p.Bind(table)
			for i, name := range spec.Columns {
				table.Columns = append(table.Columns, cdc.Column{Name: name, Type: 25, Key: i == 0})
			}
			if b, err := p.Bind(table); err == nil {
				_ = b.Key(make([]cdc.Value, len(table.Columns)))
			}
		}
	})
}
