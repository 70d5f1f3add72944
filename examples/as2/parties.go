package main

import (
	"errors"
	"flag"
	"io"

	"github.com/seed62b9dc43/transfer/as2x"
)

// parties are the two sides of an exchange, as flags name them.
type parties struct {
	id, key           string
	partner, partners string // name, and file with the certificate
}

func (p *parties) flags(name, partner string, stderr io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("as2 "+name, flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&p.id, "id", "", "our AS2 `name`")
	f.StringVar(&p.key, "key", "", "our key: `name` stands for name.key and name.crt")
	f.StringVar(&p.partner, partner, "", "the partner's AS2 `name`")
	f.StringVar(&p.partners, partner+"-cert", "", "`file` with the partner's certificate")
	return f
}

// load reads the keys.
func (p *parties) load() (l as2x.Local, other as2x.Partner, err error) {
	if p.id == "" || p.key == "" || p.partner == "" || p.partners == "" {
		return l, other, usageError{errors.New("names and keys of both sides are required (-help lists the flags)")}
	}
	pair, err := readPair(p.key)
	if err != nil {
		return l, other, err
	}
	cert, err := readCertificate(p.partners)
	if err != nil {
		return l, other, err
	}
	l = as2x.Local{AS2ID: p.id, Signing: []as2x.KeyPair{pair}, Decryption: []as2x.KeyPair{pair}}
	other = as2x.Partner{AS2ID: p.partner, Signing: []as2x.Certificate{cert}, Encryption: []as2x.Certificate{cert}}
	return l, other, nil
}
