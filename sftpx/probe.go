package sftpx

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// probeSize is how much a probe writes, in bytes: several packets of the usual size, and a part of one.
const probeSize = 3*safePacket + 1000

// probe finds out what a server can do by doing it.
type probe struct {
	s       *session
	r       *ConnectionReport
	dir     string
	content []byte
	inTurn  bool  // one request at a time
	tried   error // what happened to many

	written, old, other string   // files
	made                []string // those of them that may be there
}

func newProbe(s *session, dir string, r *ConnectionReport) *probe {
	content := make([]byte, probeSize)
	_, _ = rand.Read(content) // never fails
	base := path.Join(dir, ".transfer-probe-"+hex.EncodeToString(content[:8]))
	return &probe{
		s: s, r: r, dir: dir, content: content, inTurn: s.c.cfg.Sequential,
		written: base + ".part", old: base + ".old", other: base + ".new",
	}
}

// run writes, reopens, describes, reads, renames and removes a file. A server that cannot do one of these is no error;
// one that cannot store a file is.
func (p *probe) run(ctx context.Context) error {
	defer p.clean(ctx)
	for _, step := range []func(context.Context) error{p.write, p.resume, p.verify, p.readBack, p.attributes, p.rename} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("probe %s: %w", p.dir, err)
		}
	}
	return nil
}

// lost returns err if it is the end of the connection or of ctx: then there is nothing more to find out.
func (p *probe) lost(ctx context.Context, err error) error {
	if p.s.broken() != nil || ctx.Err() != nil {
		return err
	}
	return nil
}

func why(err error) string { return cause(err).Error() }

// store writes data to path at off, opened with flag.
func (p *probe) store(ctx context.Context, path string, data []byte, flags uint32) error {
	var f *file
	p.made = append(p.made, path)
	err := p.s.request(ctx, "create", path, func() (err error) {
		f, err = p.s.openFile(path, flags)
		return err
	})
	if err != nil {
		return err
	}
	err = p.fill(ctx, f, data, 0)
	return errors.Join(err, p.s.request(ctx, "close", path, f.close))
}

func (p *probe) fill(ctx context.Context, f *file, data []byte, off int64) error {
	f.inTurn = f.inTurn || p.inTurn
	return p.s.do(ctx, p.s.move("write", f, len(data)), func() error { return f.move(ctx, data, off) })
}

const fromStart = fxfWrite | fxfCreat | fxfTrunc

// write stores half of the content. A server that cannot take many requests at once is tried with one.
func (p *probe) write(ctx context.Context) error {
	p.r.find("Sequential", p.inTurn, "as configured")
	err := p.store(ctx, p.written, p.content[:probeSize/2], fromStart)
	if p.slowDown(ctx, err) {
		err = p.store(ctx, p.written, p.content[:probeSize/2], fromStart)
	}
	return err
}

// slowDown reports whether what has failed is to be tried again with one request at a time.
func (p *probe) slowDown(ctx context.Context, err error) bool {
	if p.inTurn || !isStatus(err, fxFailure, fxBadMessage, fxOpUnsupported) || p.lost(ctx, err) != nil {
		return false
	}
	p.inTurn = true
	p.tried = err
	return true
}

// concluded notes what came of the second try.
func (p *probe) concluded() {
	switch {
	case p.tried != nil:
		p.r.Profile.Sequential = true
		p.r.find("Sequential", true, "many requests at once failed, one at a time did not: "+why(p.tried))
	case !p.inTurn:
		p.r.find("Sequential", false, "many requests at once were answered")
	}
}

// resume writes the second half as a delivery does that goes on.
func (p *probe) resume(ctx context.Context) error {
	s, half := p.s, int64(probeSize/2)
	k := &sink{r: &remote{c: s.c, s: s}, s: s, temp: p.written, target: p.written,
		o: transfer.CreateOptions{Size: probeSize}}
	err := s.request(ctx, "resume", p.written, func() error { return k.reopen(ctx, half) })
	if err == nil {
		err = p.fill(ctx, k.file, p.content[half:], half)
		err = errors.Join(err, s.request(ctx, "close", p.written, k.file.close))
	}
	if err == nil {
		p.r.Profile.NoResume = false
		p.r.find("NoResume", false, "a file was opened again and written in the middle")
		return nil
	}
	if lost := p.lost(ctx, err); lost != nil {
		return lost
	}
	p.r.Profile.NoResume = true
	p.r.find("NoResume", true, "a file could not be opened again and written in the middle: "+why(err))
	return p.store(ctx, p.written, p.content, fromStart)
}

// verify asks for the size.
func (p *probe) verify(ctx context.Context) error {
	size, err := p.size(ctx, p.written)
	switch code := transfer.CodeOf(err); {
	case err == nil && size != probeSize:
		return &transfer.Error{Op: "compare size", Path: p.written, Code: transfer.SizeMismatch,
			Err: fmt.Errorf("the server has %d of %d bytes", size, probeSize)}
	case err == nil:
		p.suggestVerify(VerifySize, "the server says the size of a file that was delivered")
	case code == transfer.FileNotFound:
		p.suggestVerify(VerifyLenient, "the server does not find a file that was delivered; is it taken at once, or lost?")
	case p.lost(ctx, err) != nil:
		return err
	default:
		p.suggestVerify(VerifyNone, "the server does not say the size of a file that was delivered: "+why(err))
	}
	return nil
}

// suggestVerify leaves a stricter choice alone.
func (p *probe) suggestVerify(v Verify, reason string) {
	if v != VerifySize || p.r.Profile.Verify != VerifyStrict {
		p.r.Profile.Verify = v
	}
	p.r.find("Verify", p.r.Profile.Verify, reason)
}

func (p *probe) size(ctx context.Context, path string) (size int64, err error) {
	err = p.s.request(ctx, "look at", path, func() error {
		stat, err := p.s.client.Stat(path)
		if err == nil {
			size = stat.Size()
		}
		return err
	})
	return size, err
}

// readBack reads what was written. A server that answers short is noticed on the way.
func (p *probe) readBack(ctx context.Context) error {
	got := make([]byte, probeSize)
	err := p.fetch(ctx, got)
	if p.slowDown(ctx, err) {
		if err = p.fetch(ctx, got); err != nil {
			p.inTurn, p.tried = false, nil // that was not it
		}
	}
	p.concluded()
	if lost := p.lost(ctx, err); err != nil {
		p.s.suggestPacket(p.r, "nothing could be read: "+why(err))
		return lost
	}
	if !bytes.Equal(got, p.content) {
		return &transfer.Error{Op: "read", Path: p.written, Code: transfer.ReadFileError,
			Err: errors.New("the server gives back other bytes than were written (does it convert text?)")}
	}
	p.s.suggestPacket(p.r, "they were written and read")
	return nil
}

func (p *probe) fetch(ctx context.Context, got []byte) error {
	var f *file
	err := p.s.request(ctx, "open", p.written, func() (err error) {
		f, err = p.s.openFile(p.written, fxfRead)
		return err
	})
	if err != nil {
		return err
	}
	f.inTurn = f.inTurn || p.inTurn
	err = p.s.do(ctx, p.s.move("read", f, len(got)), func() error { return f.move(ctx, got, 0) })
	return errors.Join(err, p.s.request(ctx, "close", p.written, f.close))
}

// attributes sets time and permissions.
func (p *probe) attributes(ctx context.Context) error {
	then := time.Now().Add(-time.Hour)
	client := p.s.client
	err := p.s.request(ctx, "set time", p.written, func() error { return client.Chtimes(p.written, then, then) })
	if lost := p.lost(ctx, err); lost != nil {
		return lost
	}
	p.r.Profile.PreserveTimes = p.r.Profile.PreserveTimes && err == nil
	p.r.find("PreserveTimes", p.r.Profile.PreserveTimes, attributeReason(err))

	err = p.s.request(ctx, "set mode", p.written, func() error { return client.Chmod(p.written, 0o600) })
	if lost := p.lost(ctx, err); lost != nil {
		return lost
	}
	if err != nil {
		p.r.Profile.FileMode = 0
	}
	p.r.find("FileMode", p.r.Profile.FileMode, attributeReason(err))
	return nil
}

func attributeReason(err error) string {
	if err != nil {
		return "the server refuses to set it: " + why(err)
	}
	return "as configured; the server can set it"
}
