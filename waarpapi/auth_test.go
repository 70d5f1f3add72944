package waarpapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/waarpapi"
)

// What a client sends, as openssl and Node compute it (the bubble's clock says 2000-01-01T00:00:00Z):
//
//	printf %s "${timestamp}hosta${password}" | openssl dgst -sha256 -hmac "$key"
//	printf %s "HMAC $authorization$body/v2/transfersPOST" | openssl dgst -sha256 -hmac "$key"
//	crypto.createHmac("sha256", key).update(…).digest("hex")
const (
	key           = "0123456789abcdef0123456789abcdef"
	password      = "sesame:ü"
	timestamp     = "2000-01-01T00:00:00Z"
	authorization = "8892af6945af9d727816f130459f40d7933846276c0f83d251c2ca9a9336b124"
	startBody     = `{"ruleName":"out","filename":"a","requested":"acme"}`

	signatureOfStart    = "a1a19465ab3935051fc4f9b76da96fd649255035296485212fe5cfe1d48baf81" // POST /v2/transfers
	signatureOfList     = "02a526c942b0f964604d37321f60a444c4e409e2d8db8813e8d3596852ece68f" // GET /v2/transfers?limit=1
	signatureOfCancel   = "0845444c7a8294025698eae093a5af37650fa3346a7ccac133d7156ecd7f5740" // PUT /v2/transfers/1_acme/cancel
	signatureBelowWaarp = "642d0f0f22bbc5abe8cf8415b82c70a834b57381d1277b163ed522d8619c0462" // POST /waarp/v2/transfers

	basicOfHosta     = "Authorization: Basic aG9zdGE6c2VzYW1lOsO8"                        // hosta:sesame:ü
	signatureOfBasic = "95a32ed59aa0773d03d5fb7f947820f595c95179b1657347788ff82d26d508ab" // POST /v2/transfers with it

	authorizationOfNobody = "bb0e3e499a27b4ca975227a3d1b1b7153b5af0433f653de0ccad435ac62e24d1" // with an empty password
	authorizationOfHashed = "d9aa10d923b5fc5589b29f0bfbc676827f2ef2df456345db99f44027e22056ac" // with an empty password

	authorizationAtOne = "bc20aeb00f12190d93e98d9dfbd66b885c4926fc632c3183f8df667046861944" // at 2000-01-01T01:00:00Z

	authorizationWithoutKey = "2ead88d06b2f95e8d69c25edfc26aa5c5dc11cde7f30bbfceebadaaa280bd4e8" // under an empty key
	signatureWithoutKey     = "3ddc976ec38a17a1142b10b64feb8fbf58abc9095b8056f363e67162fb25762d" // of POST /v2/transfers with Basic, the same

	// bcrypt of "open sesame", and of 72 times "x", by the C library's crypt.
	hash      = "$2y$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy"
	hashOf72x = "$2y$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i"
)

func users(c *configuration) {
	c.Users = waarpapi.StaticUsers{
		"hosta":  {Password: password, Roles: waarpapi.RoleRead | waarpapi.RoleTransfer | waarpapi.RoleControl},
		"hashed": {PasswordHash: hash, Roles: waarpapi.RoleRead},
	}
	c.Key = []byte(key)
}

func signing(c *configuration) { users(c); c.RequireSignature = true }

// hmac returns the headers of an HMAC authentication and whatever else is given.
func hmac(more ...string) []string {
	return append([]string{"X-Auth-User: hosta", "X-Auth-Timestamp: " + timestamp, "Authorization: HMAC " + authorization}, more...)
}

func basic(user, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return "Authorization: " + r.Header.Get("Authorization")
}

func TestBasicAuthentication(t *testing.T) {
	t.Parallel()
	b := setup(t, users)
	for _, right := range []string{basicOfHosta, basic("hosta", password), strings.Replace(basicOfHosta, "Basic", "BASIC", 1), basic("hashed", "open sesame")} {
		for range 2 { // a password with a hash is known again
			b.do("GET", "/v2/transfers", "", right).is(http.StatusOK)
		}
	}
	for _, wrong := range []string{
		"X: y", "Authorization: ", "Authorization: Basic", "Authorization: Basic ?", "Authorization: Basic aG9zdGE=", "Authorization: Bearer x",
		basic("hosta", ""), basic("hosta", password+" "), basic("hosta", "sesame"), basic("Hosta", password), basic("", ""), basic("nobody", ""),
		basic("hashed", ""), basic("hashed", "open"), basic("hashed", "open sesame\x00"), basic("hashed", hash), basic("hosta", strings.Repeat("x", 5000)),
	} {
		got := b.do("GET", "/v2/transfers", "", wrong).is(http.StatusUnauthorized)
		require.Equal(t, "Basic, HMAC", got.header.Get("WWW-Authenticate"))
		require.Len(t, got.errors(), 1)
		got.says("0 User : not known, or not proven (authenticate, and sign what changes something if that is asked for).")
	}
}

func TestLongPasswordsAreNotCutToTheirHash(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 72)
	b := setup(t, func(c *configuration) {
		c.Users = waarpapi.StaticUsers{"u": {PasswordHash: hashOf72x, Roles: waarpapi.RoleRead}}
	})
	require.Equal(t, "Basic", b.do("GET", "/v2/transfers", "", basic("u", long+"y")).is(http.StatusUnauthorized).header.Get("WWW-Authenticate"))
	b.do("GET", "/v2/transfers", "", basic("u", long)).is(http.StatusOK)
	b.do("GET", "/v2/transfers", "", basic("u", long+"y")).is(http.StatusUnauthorized)
}

func TestHMACAuthentication(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, users)
		b.do("GET", "/v2/transfers", "", hmac()...).is(http.StatusOK)
		b.do("GET", "/v2/transfers", "", hmac("Authorization: hmac "+strings.ToUpper(authorization))...).is(http.StatusOK)
		for _, wrong := range []string{
			"X-Auth-User: hostb", "X-Auth-User: ", "X-Auth-User: hashed",
			"X-Auth-Timestamp: ", "X-Auth-Timestamp: 2000-01-01T00:00:01Z", "X-Auth-Timestamp: 2000-01-01T00:00:00", "X-Auth-Timestamp: now",
			"Authorization: HMAC", "Authorization: HMAC " + authorization[:62], "Authorization: HMAC " + authorization + "00", "Authorization: HMAC x",
			"Authorization: HMAC 0" + authorization[1:],
		} {
			b.do("GET", "/v2/transfers", "", hmac(wrong)...).is(http.StatusUnauthorized)
		}
		for user, empty := range map[string]string{"nobody": authorizationOfNobody, "hashed": authorizationOfHashed} {
			b.do("GET", "/v2/transfers", "", hmac("X-Auth-User: "+user, "Authorization: HMAC "+empty)...).is(http.StatusUnauthorized)
		}
		without := b.handler(func(c *configuration) { users(c); c.Key = nil })
		do(t, without, "GET", "/v2/transfers", "", hmac("Authorization: HMAC "+authorizationWithoutKey)...).is(http.StatusUnauthorized)
		got := do(t, without, "GET", "/v2/transfers", "", hmac()...).is(http.StatusUnauthorized)
		require.Equal(t, "Basic", got.header.Get("WWW-Authenticate"), "without a key there is no HMAC")
	})
}

func TestHeadersGivenTwiceAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, users)
		for _, name := range []string{"Authorization", "X-Auth-User", "X-Auth-Timestamp", "X-Auth-Signature"} {
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/v2/transfers?limit=1", nil)
			for _, h := range hmac("X-Auth-Signature: " + signatureOfList) {
				key, value, _ := strings.Cut(h, ": ")
				r.Header.Set(key, value)
			}
			require.Equal(t, http.StatusOK, serve(b.api, r).Code)
			r.Header.Add(name, r.Header.Get(name))
			require.Equal(t, http.StatusUnauthorized, serve(b.api, r).Code, name)
		}
	})
}

func TestClockSkew(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		skew        time.Duration
		after, then time.Duration // the clock moves: still right, and no more
	}{
		{0, 5 * time.Minute, time.Millisecond},
		{time.Hour, time.Hour, time.Millisecond},
		{-1, 0, time.Millisecond},
	} {
		t.Run(test.skew.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := setup(t, users, func(c *configuration) { c.ClockSkew = test.skew })
				time.Sleep(test.after)
				b.do("GET", "/v2/transfers", "", hmac()...).is(http.StatusOK)
				time.Sleep(test.then)
				b.do("GET", "/v2/transfers", "", hmac()...).is(http.StatusUnauthorized)
			})
		})
	}
}

// TestTimestampOfTheFuture holds that the window has two ends. The vector is openssl's, as above.
func TestTimestampOfTheFuture(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, users)
		future := hmac("X-Auth-Timestamp: 2000-01-01T01:00:00Z", "Authorization: HMAC "+authorizationAtOne)
		b.do("GET", "/v2/transfers", "", future...).is(http.StatusUnauthorized)
		time.Sleep(55 * time.Minute)
		b.do("GET", "/v2/transfers", "", future...).is(http.StatusOK)
	})
}

func TestSignatures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, users)
		b.do("GET", "/v2/transfers?limit=1", "", hmac("X-Auth-Signature: "+signatureOfList)...).is(http.StatusOK)
		b.do("POST", "/v2/transfers", startBody, hmac("X-Auth-Signature: "+strings.ToUpper(signatureOfStart))...).is(http.StatusCreated)
		b.do("PUT", "/v2/transfers/1_acme/cancel", "", hmac("X-Auth-Signature: "+signatureOfCancel)...).is(http.StatusAccepted)
		b.do("POST", "/v2/transfers", startBody, basicOfHosta, "X-Auth-Signature: "+signatureOfBasic).is(http.StatusCreated)
		require.Equal(t, transfer.StatusInError, b.status(1))
	})
}

// status is what a user of the client sees, whatever the API lets in.
func (b *bench) status(id int64) transfer.Status {
	b.t.Helper()
	row, err := b.client.GetFile(b.t.Context(), id)
	require.NoError(b.t, err)
	return row.Status()
}

func (b *bench) count() int64 {
	b.t.Helper()
	n, err := b.client.ListTransfers().Count(b.t.Context())
	require.NoError(b.t, err)
	return n
}

// TestBadSignatureDoesNothing tries every way of getting it wrong, with right credentials.
func TestBadSignatureDoesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, users)
		b.do("POST", "/v2/transfers", startBody, hmac()...).is(http.StatusCreated)
		before := b.status(1)
		for name, test := range map[string]struct{ method, path, body, signature string }{
			"of nothing":           {"POST", "/v2/transfers", startBody, " "},
			"not hexadecimal":      {"POST", "/v2/transfers", startBody, "zz"},
			"empty":                {"POST", "/v2/transfers", startBody, ""},
			"one bit":              {"POST", "/v2/transfers", startBody, "b" + signatureOfStart[1:]},
			"shorter":              {"POST", "/v2/transfers", startBody, signatureOfStart[:62]},
			"another body":         {"POST", "/v2/transfers", startBody + " ", signatureOfStart},
			"no body":              {"POST", "/v2/transfers", "", signatureOfStart},
			"another URI":          {"POST", "/v2/transfers?x", startBody, signatureOfStart},
			"another method":       {"GET", "/v2/transfers", startBody, signatureOfStart},
			"of another request":   {"PUT", "/v2/transfers/1_acme/stop", "", signatureOfCancel},
			"a body of one's own":  {"PUT", "/v2/transfers/1_acme/cancel", "{}", signatureOfCancel},
			"of Basic":             {"POST", "/v2/transfers", startBody, signatureOfBasic},
			"the authentication's": {"POST", "/v2/transfers", startBody, authorization},
		} {
			got := b.do(test.method, test.path, test.body, hmac("X-Auth-Signature: "+test.signature)...)
			require.Equal(t, http.StatusUnauthorized, got.status, name)
			require.NotContains(t, got.body, "acme", name)
		}
		require.EqualValues(t, 1, b.count())
		require.Equal(t, before, b.status(1))
	})
}

func TestSignatureWithoutKeyIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, users, func(c *configuration) { c.Key = nil })
	for _, signature := range []string{signatureOfBasic, signatureWithoutKey} {
		b.do("POST", "/v2/transfers", startBody, basicOfHosta, "X-Auth-Signature: "+signature).is(http.StatusUnauthorized)
	}
	require.Zero(t, b.count())
}

func TestRequireSignature(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, signing)
		b.do("POST", "/v2/transfers", startBody, hmac()...).is(http.StatusUnauthorized)
		b.do("POST", "/v2/transfers", startBody, basicOfHosta).is(http.StatusUnauthorized)
		require.Zero(t, b.count())
		b.do("POST", "/v2/transfers", startBody, hmac("X-Auth-Signature: "+signatureOfStart)...).is(http.StatusCreated)
		b.do("PUT", "/v2/transfers/1_acme/cancel", "", hmac()...).is(http.StatusUnauthorized)
		require.Equal(t, transfer.StatusToSubmit, b.status(1))
		b.do("GET", "/v2/transfers", "", hmac()...).is(http.StatusOK)
		b.do("GET", "/v2/transfers?limit=1", "", hmac("X-Auth-Signature: "+signatureOfStart)...).is(http.StatusUnauthorized)
	})
}

// TestReplay sends what was seen on the network once more.
func TestReplay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, users)
		signed := hmac("X-Auth-Signature: " + signatureOfStart)
		first := b.do("POST", "/v2/transfers", startBody, signed...).is(http.StatusCreated)
		again := b.do("POST", "/v2/transfers", startBody, signed...).is(http.StatusCreated)
		require.Equal(t, first.body, again.body)
		other := do(t, b.handler(users), "POST", "/v2/transfers", startBody, signed...).is(http.StatusCreated)
		require.Equal(t, first.body, other.body, "on whatever node")
		require.EqualValues(t, 1, b.count(), "it starts nothing")
		time.Sleep(5*time.Minute + time.Millisecond)
		b.do("POST", "/v2/transfers", startBody, signed...).is(http.StatusUnauthorized)

		basic := []string{basicOfHosta, "X-Auth-Signature: " + signatureOfBasic}
		b.do("POST", "/v2/transfers", startBody, basic...).is(http.StatusCreated)
		b.do("POST", "/v2/transfers", startBody, basic...).is(http.StatusCreated)
		require.EqualValues(t, 3, b.count(), "without a timestamp, to ask for the same again is a new request")
	})
}

// TestRoles holds what each role may do, and that one who may not has done nothing.
func TestRoles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	kinds := map[waarpapi.Role][][2]string{
		waarpapi.RoleRead:     {{"GET", "/v2/transfers"}, {"HEAD", "/v2/transfers"}, {"GET", "/v2/transfers?countOrder=true"}, {"GET", "/v2/transfers/%d"}, {"HEAD", "/v2/transfers/%d"}},
		waarpapi.RoleTransfer: {{"POST", "/v2/transfers"}},
		waarpapi.RoleControl:  {{"PUT", "/v2/transfers/%d/stop"}, {"PUT", "/v2/transfers/%d/restart"}, {"PUT", "/v2/transfers/%d/cancel"}},
	}
	for roles := range waarpapi.Role(8) {
		api := b.handler(func(c *configuration) {
			c.Users = waarpapi.StaticUsers{"u": {Password: "p", Roles: roles}}
		})
		for role, requests := range kinds {
			for _, q := range requests {
				id := b.send("a", "a").ID
				before, count := b.status(id), b.count()
				got := do(t, api, q[0], strings.Replace(q[1], "%d", fmt.Sprint(id), 1), `{"ruleName":"any","filename":"/a","requested":"acme"}`, basic("u", "p"))
				if roles&role != 0 {
					require.Less(t, got.status, 300, "%v: %v", roles, q)
					continue
				}
				require.Equal(t, http.StatusForbidden, got.status, "%v: %v", roles, q)
				require.Equal(t, before, b.status(id))
				require.Equal(t, count, b.count())
			}
		}
		require.Equal(t, http.StatusOK, do(t, api, "OPTIONS", "/v2/transfers", "").status, "without authentication")
		require.Equal(t, http.StatusUnauthorized, do(t, api, "GET", "/v2/transfers", "").status)
	}
}

func TestNoAuthentication(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, headers := range [][]string{nil, hmac("X-Auth-Signature: 00"), {basic("nobody", "x")}} {
		b.do("POST", "/v2/transfers", startBody, headers...).is(http.StatusCreated)
	}
}

// directory is users who change.
type directory struct {
	users map[string]waarpapi.User
	err   error
}

func (d *directory) User(_ context.Context, name string) (waarpapi.User, error) {
	if d.err != nil {
		return waarpapi.User{}, d.err
	}
	if u, ok := d.users[name]; ok {
		return u, nil
	}
	return waarpapi.User{}, fmt.Errorf("look up: %w", waarpapi.ErrNoUser)
}

func TestUsersOfOnesOwn(t *testing.T) {
	t.Parallel()
	d := &directory{users: map[string]waarpapi.User{"u": {PasswordHash: hash, Roles: waarpapi.RoleRead}}}
	b := setup(t, func(c *configuration) { c.Users = d })
	ask := func(password string) answer { return b.do("GET", "/v2/transfers", "", basic("u", password)) }
	ask("open sesame").is(http.StatusOK)
	b.do("GET", "/v2/transfers", "", basic("v", "open sesame")).is(http.StatusUnauthorized)
	d.users["u"] = waarpapi.User{Password: "new", Roles: waarpapi.RoleRead}
	ask("open sesame").is(http.StatusUnauthorized)
	ask("new").is(http.StatusOK)
	for _, wrong := range []waarpapi.User{{Roles: waarpapi.RoleRead}, {PasswordHash: "$2a$31$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghijklm", Roles: waarpapi.RoleRead}, {PasswordHash: "x"}} {
		d.users["u"] = wrong
		ask("").is(http.StatusUnauthorized)
	}
	delete(d.users, "u")
	ask("new").is(http.StatusUnauthorized)
	d.err = errors.New("the directory is down")
	require.NotContains(t, ask("new").is(http.StatusServiceUnavailable).body, "directory")
}

// TestSecretsAreNotLogged looks for what was sent, right and wrong, in the log and in what users print.
func TestSecretsAreNotLogged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		b := setup(t, users, func(c *configuration) {
			c.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		b.do("POST", "/v2/transfers", startBody, hmac("X-Auth-Signature: "+signatureOfStart)...).is(http.StatusCreated)
		b.do("POST", "/v2/transfers", startBody, hmac("X-Auth-Signature: "+signatureOfCancel)...).is(http.StatusUnauthorized)
		b.do("PUT", "/v2/transfers/1/stop", "", basicOfHosta).is(http.StatusAccepted)
		b.do("GET", "/v2/transfers", "", basic("hosta", "wrong-one")).is(http.StatusUnauthorized)
		b.do("POST", "/v2/transfers", startBody, basic("hashed", "open sesame")).is(http.StatusForbidden)
		slog.New(slog.NewTextHandler(&log, nil)).Info("users", "all", waarpapi.StaticUsers{"u": {Password: password, PasswordHash: hash}}, "one", waarpapi.User{Password: password})
		fmt.Fprintf(&log, "%v %+v %#v %s", waarpapi.User{Password: password}, waarpapi.User{PasswordHash: hash}, waarpapi.User{Password: password}, waarpapi.User{Password: password})
		text := log.String()
		for _, said := range []string{"transfer started", "transfer controlled", "hosta", "wrong signature", "wrong user or password", "needs the role TRANSFER"} {
			require.Contains(t, text, said)
		}
		for _, secret := range []string{password, "sesame", "wrong-one", key, authorization, signatureOfStart, signatureOfCancel, hash, "aG9zdGE6c2VzYW1lOsO8"} {
			require.NotContains(t, text, secret)
		}
	})
}
