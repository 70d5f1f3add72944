package sftpx

import (
	"context"

	"github.com/seed62b9dc43/transfer"
)

// rename finds out how a file can take the place of another one.
func (p *probe) rename(ctx context.Context) error {
	if err := p.store(ctx, p.old, []byte("old"), fromStart); err != nil {
		return err
	}
	mode, reason, err := p.renameMode(ctx)
	if err != nil {
		return err
	}
	p.r.Profile.RenameMode = mode
	p.r.find("RenameMode", mode, reason)
	return nil
}

func (p *probe) renameMode(ctx context.Context) (mode RenameMode, reason string, err error) {
	done, flaw, err := p.tryPosixRename(ctx)
	switch {
	case err != nil:
		return 0, "", err
	case done:
		mode = RenameAuto
		if p.r.Profile.RenameMode == RenamePosix {
			mode = RenamePosix // which is stricter
		}
		return mode, "posix-rename@openssh.com replaced a file in one step", nil
	case flaw != "":
		mode, reason = RenameReplace, flaw+"; "
	}
	client := p.s.client
	kept := p.s.request(ctx, "remove", p.old, func() error { return client.Remove(p.old) })
	if lost := p.lost(ctx, kept); lost != nil {
		return 0, "", lost
	}
	to := p.old
	if kept != nil {
		mode, to = RenamePlain, p.other
		reason += "files cannot be removed (" + why(kept) + "); "
	}
	p.made = append(p.made, to)
	err = p.s.request(ctx, "rename", p.written, func() error { return client.Rename(p.written, to) })
	switch lost := p.lost(ctx, err); {
	case lost != nil:
		return 0, "", lost
	case err != nil:
		return RenameDirect, reason + "RENAME fails: " + why(err), nil
	case !p.moved(ctx, to):
		return RenameDirect, reason + "RENAME is acknowledged, but does nothing", nil
	case mode == RenamePlain:
		return mode, reason + "RENAME works where nothing is in the way", nil
	}
	return mode, reason + "an old file is removed, and RENAME takes its place", nil
}

// tryPosixRename replaces a file in one step, if the server says that it can. The flaw is what it did instead.
func (p *probe) tryPosixRename(ctx context.Context) (done bool, flaw string, err error) {
	if !p.s.posixRename() {
		return false, "", nil
	}
	err = p.s.request(ctx, "rename", p.written, func() error { return p.s.client.PosixRename(p.written, p.old) })
	switch lost := p.lost(ctx, err); {
	case lost != nil:
		return false, "", lost
	case err != nil:
		return false, "posix-rename@openssh.com is advertised, but fails: " + why(err), nil
	case p.moved(ctx, p.old):
		return true, "", nil
	}
	return false, "posix-rename@openssh.com is acknowledged, but does nothing", p.store(ctx, p.written, p.content, fromStart)
}

// moved reports whether the file has got its new name. A server that does not say is believed.
func (p *probe) moved(ctx context.Context, to string) bool {
	size, err := p.size(ctx, to)
	return err == nil && size == probeSize || err != nil && transfer.CodeOf(err) != transfer.FileNotFound
}

// clean removes what the probe has made.
func (p *probe) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	removed := map[string]bool{}
	for _, path := range p.made {
		if removed[path] {
			continue
		}
		removed[path] = true
		if err := p.s.c.remove(ctx, p.s, path); err != nil {
			p.r.Leftovers = append(p.r.Leftovers, path)
		}
	}
}
