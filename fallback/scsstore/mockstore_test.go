package scsstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2/mockstore"
	"github.com/stretchr/testify/require"

	"github.com/carryon-go/carryon/fallback"
	"github.com/carryon-go/carryon/fallback/scsstore"
)

// scs's own mock panics at an unexpected call, token, value or expiry.
func TestAnnouncedCallsOfTheMock(t *testing.T) {
	engine := memory()
	real, err := scsstore.New(engine, scsstore.Options{})
	require.NoError(t, err)
	first := fallback.Record{Revision: fallback.Revision{}.Next(), Data: []byte("sealed"), Expires: time.Now().Add(time.Hour)}
	require.NoError(t, real.Save(t.Context(), "id", fallback.Revision{}, first))
	all, err := engine.All()
	require.NoError(t, err)
	require.Len(t, all, 1)
	var token string
	var value []byte
	for token, value = range all {
	}

	mock, down := &mockstore.MockStore{}, errors.New("the engine is down")
	store, err := scsstore.New(mock, scsstore.Options{})
	require.NoError(t, err)

	mock.ExpectFind(token, nil, false, nil)
	mock.ExpectCommit(token, value, first.Expires.Add(time.Minute), nil)
	require.NoError(t, store.Save(t.Context(), "id", fallback.Revision{}, first))

	mock.ExpectFind(token, value, true, nil)
	got, err := store.Load(t.Context(), "id")
	require.NoError(t, err)
	require.Equal(t, first.Data, got.Data)

	mock.ExpectFind(token, value, true, nil) // no Commit is expected
	require.ErrorIs(t, store.Save(t.Context(), "id", fallback.Revision{}, fallback.Record{
		Revision: first.Revision.Next(), Expires: first.Expires}), fallback.ErrConflict)

	mock.ExpectFind(token, nil, false, down)
	_, err = store.Load(t.Context(), "id")
	require.ErrorIs(t, err, down)
	require.NotErrorIs(t, err, fallback.ErrNotFound)

	mock.ExpectFind(token, nil, false, nil)
	mock.ExpectCommit(token, value, first.Expires.Add(time.Minute), down)
	require.ErrorIs(t, store.Save(t.Context(), "id", fallback.Revision{}, first), down)

	mock.ExpectDelete(token, nil)
	require.NoError(t, store.Delete(t.Context(), "id"))
}
