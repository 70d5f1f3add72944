package waarpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Role is a set of what a user may do: RoleRead|RoleTransfer.
type Role uint8

// Roles.
const (
	RoleRead     Role = 1 << iota // list and look (Waarp READONLY)
	RoleTransfer                  // start transfers (Waarp TRANSFER)
	RoleControl                   // stop, restart and cancel them (Waarp SYSTEM)

	allRoles = RoleRead | RoleTransfer | RoleControl
)

var roleNames = map[Role]string{RoleRead: "READ", RoleTransfer: "TRANSFER", RoleControl: "CONTROL"}

// String names the roles, such as "READ|TRANSFER".
func (r Role) String() string {
	var names []string
	for _, one := range []Role{RoleRead, RoleTransfer, RoleControl} {
		if r&one != 0 {
			names = append(names, roleNames[one])
		}
	}
	if len(names) == 0 {
		return "NOACCESS"
	}
	return strings.Join(names, "|")
}

// User is one who may use the API. It never prints its password.
type User struct {
	// Password allows Basic and HMAC authentication. Give this or PasswordHash.
	Password string

	// PasswordHash is the password's bcrypt hash, as htpasswd -B makes it, of cost 16 at most. It allows Basic
	// authentication only: HMAC needs the password itself. A password is 72 bytes at most then.
	PasswordHash string

	// Roles are what the user may do.
	Roles Role
}

// String describes the user without the password.
func (u User) String() string { return "user with the roles " + u.Roles.String() }

// GoString is String.
func (u User) GoString() string { return u.String() }

// LogValue is String.
func (u User) LogValue() slog.Value { return slog.StringValue(u.String()) }

const (
	maxHashCost     = 16 // seconds each
	maxHashPassword = 72 // bytes; bcrypt looks at no more
)

// problem says what is wrong with the user and the fix, or nothing.
func (u User) problem() string {
	if u.Roles&^allRoles != 0 {
		return fmt.Sprintf("has roles that are not known (%#x; use RoleRead, RoleTransfer and RoleControl)", uint8(u.Roles))
	}
	switch {
	case u.Password == "" && u.PasswordHash == "":
		return "has no password (give Password or PasswordHash)"
	case u.Password != "" && u.PasswordHash != "":
		return "has both Password and PasswordHash (give one of them)"
	case u.Password != "":
		return ""
	}
	switch cost, err := bcrypt.Cost([]byte(u.PasswordHash)); {
	case err != nil:
		return "has a PasswordHash that is none of bcrypt's (make one with htpasswd -nB)"
	case cost > maxHashCost:
		return fmt.Sprintf("has a PasswordHash of cost %d (use %d at most)", cost, maxHashCost)
	}
	return ""
}

// ErrNoUser says that there is no user of a name.
var ErrNoUser = errors.New("waarpapi: there is no such user")

// Users finds users by name. Methods MUST be safe for concurrent use.
type Users interface {
	// User returns the user of this name, which is hostile, or ErrNoUser. It is asked with every request. Any other
	// error means that it cannot be found out now, and the request is answered with 503.
	User(ctx context.Context, name string) (User, error)
}

// StaticUsers are users by name.
type StaticUsers map[string]User

// User implements [Users].
func (s StaticUsers) User(_ context.Context, name string) (User, error) {
	if u, ok := s[name]; ok {
		return u, nil
	}
	return User{}, ErrNoUser
}
