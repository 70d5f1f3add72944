package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/seed62b9dc43/transfer/as2x"
)

// validity is how long a certificate is current. Exchange the next one with the partner before.
const validity = 2 * 365 * 24 * time.Hour

// keys writes NAME.key and NAME.crt: a key, and its self-signed certificate, which goes to the partner.
func keys(args []string) error {
	if len(args) != 1 {
		return usageError{errors.New("keys wants one name")}
	}
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: filepath.Base(args[0])},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(validity),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		writePEM(args[0]+".key", "PRIVATE KEY", private, 0o600),
		writePEM(args[0]+".crt", "CERTIFICATE", cert, 0o644),
	)
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

// readPEM returns the first block of a file.
func readPEM(path, kind string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s holds no %s in PEM", path, kind)
	}
	return block.Bytes, nil
}

func readCertificate(path string) (as2x.Certificate, error) {
	der, err := readPEM(path, "CERTIFICATE")
	if err != nil {
		return as2x.Certificate{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return as2x.Certificate{Certificate: cert}, err
}

// readPair reads NAME.key and NAME.crt.
func readPair(name string) (pair as2x.KeyPair, err error) {
	if pair.Certificate, err = readCertificate(name + ".crt"); err != nil {
		return pair, err
	}
	der, err := readPEM(name+".key", "PRIVATE KEY")
	if err != nil {
		return pair, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return pair, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return pair, fmt.Errorf("%s.key cannot sign", name)
	}
	pair.Key = signer
	return pair, nil
}
