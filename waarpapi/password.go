package waarpapi

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"runtime"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// passwords compares passwords. Where users have hashes, every refusal costs the same: one hash; so that time tells
// neither who exists nor how. A password that was right is known again without one.
type passwords struct {
	secret  []byte        // of this process, for seen
	hashing chan struct{} // holds one for each hash that is being computed

	mu    sync.Mutex                   // guards all below
	decoy []byte                       // a hash that was met, compared where there is nothing to compare with; nil until then
	seen  map[string][sha256.Size]byte // by user: what was right last
}

// maxSeen bounds the users whose last right password is known again.
const maxSeen = 4096

func newPasswords() *passwords {
	p := &passwords{
		secret:  make([]byte, 32),
		hashing: make(chan struct{}, max(runtime.GOMAXPROCS(0)/2, 1)),
		seen:    make(map[string][sha256.Size]byte),
	}
	_, _ = rand.Read(p.secret) // never fails since Go 1.24
	return p
}

// learn makes refusals as dear as this user's hash.
func (p *passwords) learn(u User) {
	if u.PasswordHash == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.decoy == nil {
		p.decoy = []byte(u.PasswordHash)
	}
}

// right reports whether password is the user's. The user may be the zero one, who has none. The error is ctx's.
func (p *passwords) right(ctx context.Context, name string, u User, password string) (bool, error) {
	p.learn(u)
	if u.PasswordHash == "" {
		if u.Password != "" && equal(u.Password, password) {
			return true, nil
		}
		return false, p.refuse(ctx)
	}
	digest := p.digest(u.PasswordHash, password)
	if p.knows(name, digest) {
		return true, nil
	}
	right, err := p.compare(ctx, []byte(u.PasswordHash), password)
	if right && len(password) <= maxHashPassword {
		p.remember(name, digest)
		return true, nil
	}
	return false, err
}

// refuse takes as long as to find a password wrong.
func (p *passwords) refuse(ctx context.Context) error {
	p.mu.Lock()
	decoy := p.decoy
	p.mu.Unlock()
	if decoy == nil {
		return nil
	}
	_, err := p.compare(ctx, decoy, "")
	return err
}

// compare computes a hash. Half of the processors are left to others, whoever tries passwords.
func (p *passwords) compare(ctx context.Context, hash []byte, password string) (bool, error) {
	select {
	case p.hashing <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-p.hashing }()
	return bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil, nil
}

func (p *passwords) digest(hash, password string) (digest [sha256.Size]byte) {
	mac := hmac.New(sha256.New, p.secret)
	mac.Write([]byte(hash + "\x00" + password))
	copy(digest[:], mac.Sum(nil))
	return digest
}

func (p *passwords) knows(name string, digest [sha256.Size]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen, ok := p.seen[name]
	return ok && subtle.ConstantTimeCompare(seen[:], digest[:]) == 1
}

func (p *passwords) remember(name string, digest [sha256.Size]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.seen) >= maxSeen {
		clear(p.seen)
	}
	p.seen[name] = digest
}

// equal compares in a time that depends on neither text's content nor on a's length.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
