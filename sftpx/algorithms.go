package sftpx

import (
	"slices"

	"golang.org/x/crypto/ssh"
)

// Algorithms is a choice of SSH algorithms.
type Algorithms int

const (
	// DefaultAlgorithms is everything that x/crypto/ssh knows and holds to be secure, AES-GCM first.
	DefaultAlgorithms Algorithms = iota
	// LegacyAlgorithms adds, at the end, what old servers need: SHA-1 key exchange, CBC ciphers, and ssh-rsa
	// signatures with SHA-1 for host and client keys. RC4 and DSA stay off.
	LegacyAlgorithms
)

func (a Algorithms) config() ssh.Config {
	supported := ssh.SupportedAlgorithms()
	c := ssh.Config{KeyExchanges: supported.KeyExchanges, Ciphers: supported.Ciphers, MACs: supported.MACs}
	if a == LegacyAlgorithms {
		c.KeyExchanges = append(c.KeyExchanges, ssh.InsecureKeyExchangeDHGEXSHA1, ssh.InsecureKeyExchangeDH14SHA1,
			ssh.InsecureKeyExchangeDH1SHA1)
		c.Ciphers = append(c.Ciphers, ssh.InsecureCipherAES128CBC, ssh.InsecureCipherTripleDESCBC)
		c.MACs = append(c.MACs, ssh.InsecureHMACSHA196)
	}
	return c
}

// hostKey returns the signature algorithms for a host key of the given format, best first; none if it is not supported.
// An RSA key signs in several ways (RFC 8332, section 3).
func (a Algorithms) hostKey(format string) []string {
	if format != ssh.KeyAlgoRSA {
		if slices.Contains(ssh.SupportedAlgorithms().HostKeys, format) {
			return []string{format}
		}
		return nil
	}
	algorithms := []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	if a == LegacyAlgorithms {
		algorithms = append(algorithms, ssh.KeyAlgoRSA)
	}
	return algorithms
}

// allowsHostKey reports whether algorithm, which may be one of certificates, is to be offered.
func (a Algorithms) allowsHostKey(algorithm string) bool {
	if slices.Contains(ssh.SupportedAlgorithms().HostKeys, algorithm) {
		return true
	}
	return a == LegacyAlgorithms && (algorithm == ssh.KeyAlgoRSA || algorithm == ssh.CertAlgoRSAv01)
}

// signer keeps an RSA key from signing with SHA-1, unless that was asked for.
func (a Algorithms) signer(s ssh.Signer) ssh.Signer {
	format := s.PublicKey().Type()
	many, ok := s.(ssh.AlgorithmSigner)
	if a == LegacyAlgorithms || !ok || format != ssh.KeyAlgoRSA && format != ssh.CertAlgoRSAv01 {
		return s
	}
	safe, err := ssh.NewSignerWithAlgorithms(many, []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256})
	if err != nil {
		return s // its owner has chosen the algorithms
	}
	return safe
}
