package transfer

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
)

// bundleRoom is how many bytes a ZIP file takes for each entry, beside its content and twice its name.
const bundleRoom = 256

// bundle checks what is said of a bundle.
func (p *problems) bundle(in *ruled) {
	name := in.BundleName
	if name == "" || !p.text("BundleName", name, 1, maxNameLength) {
		return
	}
	switch {
	case name == "." || name == ".." || strings.ContainsAny(name, `/\`):
		p.add("BundleName", name, "is no base name (use one such as reports.zip)")
	case len(in.SendFilePaths) == 0:
		p.add("BundleName", name, "belongs to SendFilePaths (leave it empty to retrieve)")
	}
	for i, file := range in.SendFilePaths {
		if strings.Contains(path.Base(file), `\`) {
			p.add(fmt.Sprintf("SendFilePaths[%d]", i), file, `has a backslash in its name, which some programs take for a directory (leave it out of the bundle)`)
		}
	}
	in.refuseBundle(p)
	p.text("BundleName", in.targetName(in.RemoteDirectoryPath, name), 1, maxPathLength)
}

// refuseBundle refuses a bundle by a rule with tasks that would take its name for that of a file.
func (in *ruled) refuseBundle(p *problems) {
	if in.rule == nil {
		return
	}
	for _, chain := range [...]struct {
		name  string
		tasks []Task
	}{{"Before", in.rule.Before}, {"After", in.rule.After}, {"OnError", in.rule.OnError}} {
		for i, t := range chain.tasks {
			if b, ok := t.(*builtin); ok && b.atSource {
				p.add("BundleName", in.BundleName, "cannot go by a rule whose task %s[%d], %q, is about the source (use another rule)", chain.name, i, shorten(b.name, maxShownValue))
			}
		}
	}
}

// bundleOf returns the sources of a bundle, or nil if the request is for none.
func bundleOf(request []byte) []string {
	if !bytes.Contains(request, []byte(`"bundle":`)) { // nearly always
		return nil
	}
	var s spec
	if json.Unmarshal(request, &s) != nil {
		return nil
	}
	return s.Bundle
}

// pinnedFile is one version of a file of a bundle.
type pinnedFile struct {
	path string
	info FileInfo
}

// openBundle pins every file of the bundle. They are opened again one by one when they are read: a bundle may have more
// files than a process may have open.
func (d *delivery) openBundle(ctx context.Context) error {
	digest, versioned := sha256.New(), true
	for _, file := range d.request.Bundle {
		src, err := d.from.Open(ctx, file)
		if err != nil {
			return atStep(stepOpen, err)
		}
		info := src.Info()
		_ = src.Close() // nothing was read
		if info.Size < 0 {
			return stepError{stepOpen, &Error{Op: "open", Path: file, Code: ReadFileError, Err: fmt.Errorf("the size is %d", info.Size)}}
		}
		d.bundle = append(d.bundle, pinnedFile{file, info})
		fmt.Fprintf(digest, "%q %s\n", file, info.Identity())
		d.info.Size += info.Size + info.Size>>10 + 2*int64(len(file)) + bundleRoom
		versioned = versioned && info.versioned()
		if info.ModTime.After(d.info.ModTime) {
			d.info.ModTime = info.ModTime
		}
	}
	if !versioned { // nor is the whole
		d.info.ModTime = time.Time{}
		return nil
	}
	d.info.ETag = hex.EncodeToString(digest.Sum(nil)[:16])
	return nil
}

// bundleOrigin is a ZIP file of pinned files, made while it is read.
type bundleOrigin struct {
	from  Storage
	name  string
	files []pinnedFile // that are not read yet
	info  FileInfo

	ctx          context.Context
	piece, spare []byte
	out          *pump
	file         *zip.Writer
	chunk        []byte

	src   Source    // that is being read, or nil
	feed  *feed     // of it
	entry io.Writer // for it
	err   error
}

func (o *bundleOrigin) open(ctx context.Context, piece, spare []byte) Content {
	o.ctx, o.piece, o.spare = ctx, piece, spare
	o.out = &pump{}
	o.out.step = func() error {
		err := o.step()
		if err != nil && err != io.EOF {
			o.err = err
		}
		return err
	}
	o.file, o.chunk = zip.NewWriter(&o.out.made), make([]byte, chunkSize)
	return Content{Reader: o.out, Name: o.name, Size: -1, ModTime: o.info.ModTime}
}

// step packs the next piece.
func (o *bundleOrigin) step() error {
	if o.src == nil {
		return o.next()
	}
	n, err := o.feed.Read(o.chunk)
	if n > 0 {
		if _, err := o.entry.Write(o.chunk[:n]); err != nil {
			return stepError{stepRead, err}
		}
	}
	if err == io.EOF {
		o.close()
		return nil
	}
	return err
}

// next begins the entry of the next file, or ends the ZIP file.
func (o *bundleOrigin) next() error {
	if len(o.files) == 0 {
		if err := o.file.Close(); err != nil {
			return stepError{stepRead, err}
		}
		return io.EOF
	}
	file := o.files[0]
	o.files = o.files[1:]
	src, err := o.from.Open(o.ctx, file.path)
	if err != nil {
		return stepError{stepOpen, err}
	}
	o.src, o.feed = src, newFeed(o.ctx, src, o.piece, o.spare)
	if src.Info().Identity() != file.info.Identity() || src.Info().Size != file.info.Size {
		return stepError{stepRead, &Error{Op: "read", Path: file.path, Code: SourceChanged, Err: errors.New("since the bundle was begun")}}
	}
	o.entry, err = o.file.CreateHeader(zipEntry(path.Base(file.path), Content{ModTime: file.info.ModTime}))
	if err != nil {
		return stepError{stepRead, err}
	}
	return nil
}

func (o *bundleOrigin) failed() error { return o.err }
func (o *bundleOrigin) end() error    { return requireEnd(o.out, "bundle") }

func (o *bundleOrigin) close() {
	if o.src != nil {
		o.feed.wait()
		_ = o.src.Close()
		o.src = nil
	}
}
