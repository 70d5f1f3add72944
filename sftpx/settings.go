package sftpx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"
)

// Settings are the parts of a [Config] that a connector's definition in a Store may say, as the JSON object of
// transfer.SftpConnectorConfig.Profile. What is left out is as in the Config that [Protocol] was given.
type Settings struct {
	// The fields of Profile. RenameMode and Verify are the names of their constants, such as "RenameDirect".
	RenameMode    *RenameMode `json:",omitempty"`
	TempName      string      `json:",omitempty"`
	Verify        *Verify     `json:",omitempty"`
	MaxPacket     int         `json:",omitempty"`
	ReadOnce      *bool       `json:",omitempty"`
	Sequential    *bool       `json:",omitempty"`
	NoResume      *bool       `json:",omitempty"`
	PreserveTimes *bool       `json:",omitempty"`
	FileMode      string      `json:",omitempty"` // octal digits, such as "0640"

	Algorithms         *Algorithms `json:",omitempty"` // "DefaultAlgorithms" or "LegacyAlgorithms"
	FilesPerConnection int         `json:",omitempty"`
	MakeDirs           *bool       `json:",omitempty"`
	Fsync              *bool       `json:",omitempty"`

	// Limits of time as time.ParseDuration takes them, such as "30s"; "-1ns" for none.
	ConnectTimeout   string `json:",omitempty"`
	OperationTimeout string `json:",omitempty"`
	StallTimeout     string `json:",omitempty"`
	KeepAlive        string `json:",omitempty"`
	IdleTimeout      string `json:",omitempty"`
}

// JSON returns the settings as transfer.SftpConnectorConfig.Profile takes them.
func (s Settings) JSON() json.RawMessage {
	text, _ := json.Marshal(s) // texts, numbers, and constants whose names are texts
	return text
}

// parseSettings reads a Profile. Its error names a field, and never shows what is not known: it might be a secret.
func parseSettings(text json.RawMessage) (s Settings, err error) {
	if len(text) == 0 {
		return s, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err = d.Decode(&s)
	mistyped := (*json.UnmarshalTypeError)(nil)
	switch {
	case errors.As(err, &mistyped):
		return s, fmt.Errorf("has a %s for %s, which is a %s", mistyped.Value, mistyped.Field, mistyped.Type)
	case errors.As(err, new(unknownName)):
		return s, err
	case err != nil:
		return s, errors.New("has a field that is none of sftpx.Settings, or is no JSON object")
	}
	return s, nil
}

// apply makes c what the settings say. wrong is told what cannot be read.
func (s *Settings) apply(c *Config, wrong func(field, format string, args ...any)) {
	replace(&c.RenameMode, s.RenameMode)
	replace(&c.Verify, s.Verify)
	replace(&c.ReadOnce, s.ReadOnce)
	replace(&c.Sequential, s.Sequential)
	replace(&c.NoResume, s.NoResume)
	replace(&c.PreserveTimes, s.PreserveTimes)
	replace(&c.Algorithms, s.Algorithms)
	replace(&c.MakeDirs, s.MakeDirs)
	replace(&c.Fsync, s.Fsync)
	replaceSet(&c.TempName, s.TempName)
	replaceSet(&c.MaxPacket, s.MaxPacket)
	replaceSet(&c.FilesPerConnection, s.FilesPerConnection)
	if s.FileMode != "" {
		mode, err := strconv.ParseUint(s.FileMode, 8, 32)
		if err != nil {
			wrong("FileMode", "is %q, not octal digits (try \"0640\")", shorten(s.FileMode, 20))
		}
		c.FileMode = fs.FileMode(mode)
	}
	for _, limit := range []struct {
		name, text string
		field      *time.Duration
	}{
		{"ConnectTimeout", s.ConnectTimeout, &c.ConnectTimeout}, {"OperationTimeout", s.OperationTimeout, &c.OperationTimeout},
		{"StallTimeout", s.StallTimeout, &c.StallTimeout}, {"KeepAlive", s.KeepAlive, &c.KeepAlive},
		{"IdleTimeout", s.IdleTimeout, &c.IdleTimeout},
	} {
		if limit.text == "" {
			continue
		}
		d, err := time.ParseDuration(limit.text)
		if err != nil {
			wrong(limit.name, "is %q, not a time (try \"30s\")", shorten(limit.text, 20))
		}
		*limit.field = d
	}
}

func replace[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

func replaceSet[T comparable](field *T, value T) {
	var zero T
	if value != zero {
		*field = value
	}
}

// unknownName is the name of no constant.
type unknownName struct{ name, want string }

func (e unknownName) Error() string {
	return fmt.Sprintf("has %q, which is no %s", shorten(clean(e.name), 40), e.want)
}

// parseName returns the number of a constant.
func parseName[T ~int](value *T, names []string, text []byte, want string) error {
	for i, name := range names {
		if name == string(text) {
			*value = T(i)
			return nil
		}
	}
	return unknownName{string(text), fmt.Sprintf("%s (try %s)", want, names[0])}
}

// MarshalText returns the constant's name.
func (m RenameMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads the constant's name.
func (m *RenameMode) UnmarshalText(text []byte) error {
	return parseName(m, renameNames[:], text, "RenameMode")
}

// MarshalText returns the constant's name.
func (v Verify) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads the constant's name.
func (v *Verify) UnmarshalText(text []byte) error {
	return parseName(v, verifyNames[:], text, "Verify")
}

var algorithmNames = []string{"DefaultAlgorithms", "LegacyAlgorithms"}

// String returns the constant's name.
func (a Algorithms) String() string {
	if a < 0 || int(a) >= len(algorithmNames) {
		return fmt.Sprintf("Algorithms(%d)", int(a))
	}
	return algorithmNames[a]
}

// MarshalText returns the constant's name.
func (a Algorithms) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the constant's name.
func (a *Algorithms) UnmarshalText(text []byte) error {
	return parseName(a, algorithmNames, text, "Algorithms")
}
