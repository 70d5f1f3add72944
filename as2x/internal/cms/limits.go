package cms

// Limits bounds what a reader accepts. Zero fields stand for the defaults.
type Limits struct {
	// Depth is how many elements may lie in one another. 0 stands for 32, which is at least twice what AS2 needs.
	Depth int
	// Header is how many bytes may be held in memory: everything that is not content. 0 stands for 1 MiB.
	Header int64
	// Content is how many bytes the content may have: as decrypted (rounded up to whole blocks), as decompressed, or as
	// signed. 0 stands for 1 GiB, AWS's quota; −1 for no limit.
	Content int64
	// Signers is how many signatures may stand in one SignedData. 0 stands for 16.
	Signers int
}

func (l Limits) withDefaults() Limits {
	if l.Depth <= 0 {
		l.Depth = 32
	}
	if l.Header <= 0 {
		l.Header = 1 << 20
	}
	if l.Content == 0 {
		l.Content = 1 << 30
	}
	if l.Signers <= 0 {
		l.Signers = 16
	}
	return l
}
