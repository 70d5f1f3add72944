package sftpx

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// howToPin is the fix for missing host keys.
const howToPin = "run `ssh-keyscan -p PORT HOST`, compare the fingerprint (`ssh-keygen -lf -`) with one that the " +
	"partner told you by another way, and put the line there"

// hostKeys are the keys that a server may have.
type hostKeys struct {
	addr       string
	algorithms Algorithms
	pins       []ssh.PublicKey
	files      *knownhosts.HostKeyDB // nil without files
}

func newHostKeys(c Config) (*hostKeys, error) {
	h := &hostKeys{addr: c.Addr, algorithms: c.Algorithms}
	var problems []error
	for i, text := range c.HostKeys {
		for line := range strings.Lines(text) {
			key, err := parseHostKeyLine(line)
			if err == nil && key != nil && len(c.Algorithms.hostKey(key.Type())) == 0 {
				err = fmt.Errorf("a key of type %s, which is not supported (ed25519, ECDSA and RSA are)", key.Type())
			}
			if err != nil {
				problems = append(problems, fmt.Errorf("sftpx: Config.HostKeys[%d] is %w", i, err))
			} else if key != nil {
				h.pins = append(h.pins, key)
			}
		}
	}
	if len(c.KnownHosts) > 0 {
		files, err := knownhosts.NewDB(c.KnownHosts...)
		if err != nil {
			problems = append(problems, fmt.Errorf("sftpx: Config.KnownHosts cannot be read: %w", err))
		}
		h.files = files
	}
	if len(problems) == 0 && len(h.offer()) == 0 && !c.unpinned {
		if h.files != nil {
			return nil, fmt.Errorf("sftpx: Config.KnownHosts has no key for %s (%s)", c.Addr, howToPin)
		}
		return nil, fmt.Errorf("sftpx: Config.HostKeys is empty (%s)", howToPin)
	}
	return h, errors.Join(problems...)
}

// parseHostKeyLine reads a line as ssh-keyscan prints it: "host type base64", or "type base64", and a comment. An empty
// line and a comment line have no key.
func parseHostKeyLine(line string) (ssh.PublicKey, error) {
	fields := strings.Fields(line)
	if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
		return nil, nil
	}
	switch {
	case strings.HasPrefix(fields[0], "@"):
		return nil, fmt.Errorf("a line with %s (put it into a file and name that in Config.KnownHosts)",
			shorten(clean(fields[0]), 20))
	case strings.HasPrefix(fields[0], "-----"):
		return nil, errors.New("not a public key but a PEM file (want a line as ssh-keyscan prints it)")
	case strings.HasPrefix(fields[0], "SHA256:"), strings.HasPrefix(fields[0], "MD5:"):
		return nil, errors.New("a fingerprint (want the key itself: a line as ssh-keyscan prints it)")
	}
	for i := range min(2, len(fields)-1) {
		blob, err := base64.StdEncoding.DecodeString(fields[i+1])
		if err != nil {
			continue
		}
		key, err := ssh.ParsePublicKey(blob)
		if err != nil || key.Type() != fields[i] {
			continue
		}
		return key, nil
	}
	return nil, fmt.Errorf("%q, not a host key (want `host type base64` as ssh-keyscan prints it)",
		shorten(clean(line), 40))
}

// offer is what the server may prove itself with. Without it the server chooses, and may show a key that is good but
// not the pinned one (golang/go#29286).
func (h *hostKeys) offer() []string {
	var offer []string
	add := func(algorithm string) {
		if !slices.Contains(offer, algorithm) {
			offer = append(offer, algorithm)
		}
	}
	for _, pin := range h.pins {
		for _, algorithm := range h.algorithms.hostKey(pin.Type()) {
			add(algorithm)
		}
	}
	if h.files != nil {
		for _, algorithm := range h.files.HostKeyAlgorithms(h.addr) {
			if h.algorithms.allowsHostKey(algorithm) {
				add(algorithm)
			}
		}
	}
	return offer
}

// check returns nil if key is an accepted one.
func (h *hostKeys) check(key ssh.PublicKey) error {
	if h.files != nil {
		// Only the name counts; a connection through a proxy has no useful address.
		err := h.files.HostKeyCallback()(h.addr, &net.TCPAddr{IP: net.IPv4zero}, key)
		if err == nil {
			return nil
		}
		if revoked := (*xknownhosts.RevokedError)(nil); errors.As(err, &revoked) {
			return fmt.Errorf("it offered %s, which a known_hosts file revokes", describeKey(key))
		}
		if cert, ok := key.(*ssh.Certificate); ok {
			return fmt.Errorf("it offered a certificate for %s, signed by %s: %w",
				describeKey(cert.Key), describeKey(cert.SignatureKey), err)
		}
	}
	for _, pin := range h.pins {
		if bytes.Equal(pin.Marshal(), key.Marshal()) {
			return nil
		}
	}
	if len(h.pins) == 0 && h.files == nil {
		return fmt.Errorf("no host key is trusted yet; it offered %s (compare the fingerprint with one that the partner told "+
			"you by another way, then trust it); %s", describeKey(key), offers(key))
	}
	return fmt.Errorf("it offered %s, but the accepted ones are %s (if the partner has changed the key: ask them for "+
		"the fingerprint by another way, then add the key to Config.HostKeys); %s", describeKey(key), h.accepted(),
		offers(key))
}

// accepted lists the fingerprints of all accepted keys.
func (h *hostKeys) accepted() string {
	keys := slices.Clone(h.pins)
	if h.files != nil {
		for _, k := range h.files.HostKeys(h.addr) {
			keys = append(keys, k.PublicKey)
		}
	}
	var texts []string
	for _, key := range keys {
		texts = append(texts, describeKey(key))
	}
	return strings.Join(texts, ", ")
}

// offers shows the key that a server offered as Config.HostKeys takes it.
func offers(key ssh.PublicKey) string {
	return fmt.Sprintf("the line of the offered key is `%s` (%s)", keyLine(key), ssh.FingerprintSHA256(key))
}

// keyLine is a key as Config.HostKeys takes it.
func keyLine(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func describeKey(key ssh.PublicKey) string {
	return key.Type() + " " + ssh.FingerprintSHA256(key)
}
