package cms

import (
	"bytes"
	"time"
)

// checkAttributes checks the signed attributes against the content (RFC 5652, section 11) and the algorithms that stand
// beside them (RFC 6211), and returns the time of signing, if there is one.
func (i signerInfo) checkAttributes(kind oid, digest []byte) (at time.Time, err error) {
	found, err := i.parseAttributes()
	if err != nil {
		return at, err
	}
	id, err := found.one(oidContentType, tagOID, "content type")
	if err != nil {
		return at, err
	}
	if oid(id) != kind {
		return at, malformed("the signed content type is another")
	}
	sum, err := found.one(oidMessageDigest, tagOctetString, "message digest")
	if err != nil {
		return at, err
	}
	if !bytes.Equal(sum, digest) {
		return at, ErrDigest
	}
	if err := i.checkProtection(found); err != nil {
		return at, err
	}
	return found.signingTime()
}

// attributes are the values of each attribute, with tag and length.
type attributes map[oid]cursor

func (i signerInfo) parseAttributes() (attributes, error) {
	found := attributes{}
	for c := i.attributes; len(c) > 0; {
		body, err := c.want(tagSequence, "signed attribute")
		if err != nil {
			return nil, err
		}
		id, err := body.want(tagOID, "signed attribute")
		if err != nil {
			return nil, err
		}
		values, err := body.want(tagSet, "signed attribute's values")
		if err != nil {
			return nil, err
		}
		if _, twice := found[oid(id)]; twice {
			return nil, malformed("a signed attribute stands there twice")
		}
		found[oid(id)] = values
	}
	return found, nil
}

// one returns the single value that an attribute must have.
func (a attributes) one(id oid, tag byte, what string) (cursor, error) {
	values, ok := a[id]
	if !ok {
		return nil, malformed("signed attribute %s is missing", what)
	}
	value, err := values.want(tag, what)
	if err != nil {
		return nil, err
	}
	return value, values.end(what)
}

// checkProtection compares the algorithms that were signed with those that were sent, if the signer has protected them.
func (i signerInfo) checkProtection(a attributes) error {
	if _, ok := a[oidAlgorithmProtection]; !ok {
		return nil
	}
	body, err := a.one(oidAlgorithmProtection, tagSequence, "algorithm protection")
	if err != nil {
		return err
	}
	digest, err := body.algorithm("algorithm protection")
	if err != nil {
		return err
	}
	signature, err := body.want(contextTag(1), "algorithm protection")
	if err != nil {
		return err
	}
	id, err := signature.want(tagOID, "algorithm protection")
	if err != nil {
		return err
	}
	if digest.id != i.digest.id || oid(id) != i.signature.id {
		return malformed("the signed algorithms are others")
	}
	return nil
}

func (a attributes) signingTime() (time.Time, error) {
	values, ok := a[oidSigningTime]
	if !ok {
		return time.Time{}, nil
	}
	e, err := values.next("signing time")
	if err != nil {
		return time.Time{}, err
	}
	if e.tag == tagTime {
		return parseTime("20060102150405Z0700", e.body)
	}
	at, err := parseTime("060102150405Z0700", e.body)
	if at.Year() >= 2050 { // two digits mean 1950 to 2049
		at = at.AddDate(-100, 0, 0)
	}
	return at, err
}

func parseTime(layout string, b []byte) (time.Time, error) {
	at, err := time.Parse(layout, string(b))
	if err != nil {
		return time.Time{}, malformed("signing time")
	}
	return at, nil
}
