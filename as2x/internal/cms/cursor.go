package cms

// element is one element of DER in memory.
type element struct {
	tag       byte
	body, raw []byte // without and with tag and length
}

// cursor walks over the elements of DER in memory. What it reads comes from [ber.element], so that lengths are definite.
type cursor []byte

// next takes the next element off.
func (c *cursor) next(what string) (element, error) {
	in := *c
	if len(in) < 2 || in[0]&0x1f == 0x1f {
		return element{}, malformed("%s", what)
	}
	size, at := int(in[1]), 2
	if size >= 0x80 {
		n := size & 0x7f
		if n == 0 || n > 4 || len(in) < 2+n {
			return element{}, malformed("length of %s", what)
		}
		size = 0
		for _, b := range in[2 : 2+n] {
			size = size<<8 | int(b)
		}
		at += n
	}
	if size < 0 || size > len(in)-at {
		return element{}, malformed("length of %s", what)
	}
	*c = in[at+size:]
	return element{tag: in[0], body: in[at : at+size], raw: in[:at+size]}, nil
}

// want takes the next element off, which must have the tag, and returns its body.
func (c *cursor) want(tag byte, what string) (cursor, error) {
	e, err := c.next(what)
	if err == nil && e.tag != tag {
		err = malformed("%s has tag %#02x, not %#02x", what, e.tag, tag)
	}
	return e.body, err
}

// maybe takes the next element off if it has the tag.
func (c *cursor) maybe(tag byte, what string) (body cursor, found bool, err error) {
	if len(*c) == 0 || (*c)[0] != tag {
		return nil, false, nil
	}
	body, err = c.want(tag, what)
	return body, err == nil, err
}

// end checks that nothing is left.
func (c cursor) end(what string) error {
	if len(c) != 0 {
		return malformed("%s has more elements than it should", what)
	}
	return nil
}

// algorithm is an AlgorithmIdentifier (RFC 5280, section 4.1.1.2).
type algorithm struct {
	id     oid
	params cursor // with tag and length; empty if absent
	raw    []byte
}

func (c *cursor) algorithm(what string) (algorithm, error) {
	e, err := c.next(what)
	if err == nil && e.tag != tagSequence {
		err = malformed("%s has tag %#02x", what, e.tag)
	}
	if err != nil {
		return algorithm{}, err
	}
	body := cursor(e.body)
	id, err := body.want(tagOID, what)
	return algorithm{id: oid(id), params: body, raw: e.raw}, err
}

// noParams checks that the parameters are absent or NULL.
func (a algorithm) noParams(what string) error {
	if len(a.params) != 0 && string(a.params) != string(derNull()) {
		return malformed("parameters of %s", what)
	}
	return nil
}
