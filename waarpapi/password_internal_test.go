package waarpapi

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// The hash is that of "open sesame".
const hash = "$2y$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy"

// TestEveryRefusalCostsAHash holds the hashes up, so that whoever needs one is seen by the end of its context.
func TestEveryRefusalCostsAHash(t *testing.T) {
	t.Parallel()
	hashed, plain, nobody := User{PasswordHash: hash}, User{Password: "p"}, User{}
	p := newPasswords()
	ok, err := p.right(t.Context(), "nobody", nobody, "p")
	require.NoError(t, err)
	require.False(t, ok, "while no user has a hash, none is computed")
	for _, password := range []string{"wrong", "open sesame"} {
		ok, err = p.right(t.Context(), "hashed", hashed, password)
		require.NoError(t, err)
		require.Equal(t, password == "open sesame", ok)
	}
	for range cap(p.hashing) {
		p.hashing <- struct{}{}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, test := range []struct {
		user     User
		name     string
		password string
		right    bool
	}{
		{hashed, "hashed", "open sesame", true}, // known again
		{plain, "plain", "p", true},
		{hashed, "hashed", "wrong", false},
		{hashed, "other", "open sesame", false}, // was right for another user only
		{plain, "plain", "wrong", false},
		{nobody, "nobody", "p", false},
		{nobody, "nobody", "", false},
	} {
		ok, err := p.right(ended, test.name, test.user, test.password)
		require.Equal(t, test.right, ok, "%s %s", test.name, test.password)
		require.Equal(t, test.right, err == nil, "%s %s", test.name, test.password)
	}
	changed := User{PasswordHash: "$2a$04$NEEqSy9h4SABQZMbY3bqhuBawFU2fIZwZWtLPJQ/vxci5ryByUKay"}
	_, err = p.right(ended, "hashed", changed, "open sesame")
	require.ErrorIs(t, err, context.Canceled, "a password that was right for another hash is not known")
}

func TestKnownPasswordsAreBounded(t *testing.T) {
	t.Parallel()
	p := newPasswords()
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range maxSeen {
				name := fmt.Sprintf("%d/%d", worker, i)
				p.remember(name, p.digest(hash, name))
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, len(p.seen), maxSeen)
	require.NotEmpty(t, p.seen)
}
