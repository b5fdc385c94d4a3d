package main

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/schoolbell/schoolbell/cdc/replication"
	"github.com/schoolbell/schoolbell/cdc/shadow"
)

func TestADataDirectoryThatTakesNoMoreShowsOnReadyz(t *testing.T) {
	dir := t.TempDir() + "/data"
	store, err := shadow.Open(dir, shadow.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	once, cancel := context.WithCancel(t.Context())
	cancel() // one look

	var d diskWatch
	require.False(t, d.check().OK, "what is not known is not said to be well")
	require.NoError(t, d.watch(once, store))
	require.True(t, d.check().OK)
	require.NoError(t, os.Rename(dir, dir+".moved"))
	require.NoError(t, d.watch(once, store))
	require.False(t, d.check().OK)
	require.Contains(t, d.check().Detail, "data directory "+dir)
	require.False(t, d.check().Required, "who is there is served")
	require.NoError(t, os.Rename(dir+".moved", dir))
	require.NoError(t, d.watch(once, store))
	require.True(t, d.check().OK)
}

func TestTheReplicaIdentityAndThePublicationAreToldApart(t *testing.T) {
	identity, unfit, upgrade := errors.New("no key; fix: make one"), errors.New("no title; fix: add it"), errors.New("widened; fix: narrow it")
	for name, c := range map[string]struct {
		status                   replication.Status
		published, identified    bool
		detail, advice, identity string
	}{
		"all is well": {replication.Status{}, true, true, "", "", ""},
		"no identity": {replication.Status{Health: identity, Identity: identity}, true, false, "", "", identity.Error()},
		"unfit":       {replication.Status{Health: unfit, Unfit: unfit}, false, true, unfit.Error(), "", ""},
		"both":        {replication.Status{Health: errors.Join(identity, unfit), Identity: identity, Unfit: unfit}, false, false, unfit.Error(), "", identity.Error()},
		"bearable":    {replication.Status{Health: unfit, Unfit: unfit, Degraded: true}, true, true, "", unfit.Error(), ""},
		"an upgrade":  {replication.Status{Upgrade: upgrade}, true, true, "", upgrade.Error(), ""},
	} {
		p, i := publicationCheck(c.status), identityCheck(c.status)
		require.Equal(t, []any{"publication", c.published, c.detail, c.advice}, []any{p.Name, p.OK, p.Detail, p.Advice}, name)
		require.Equal(t, []any{"identity", c.identified, c.identity, ""}, []any{i.Name, i.OK, i.Detail, i.Advice}, name)
	}
}
