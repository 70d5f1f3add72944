// Package sftpx reaches a partner's SFTP server: a [Connector] for package transfer over github.com/pkg/sftp and
// golang.org/x/crypto/ssh.
//
//	signer, err := sftpx.ParsePrivateKey(pem, nil)
//	…
//	conn, err := sftpx.New(sftpx.Config{
//		Addr:     "sftp.example.com",
//		User:     "alice",
//		Auth:     []sftpx.Auth{sftpx.PublicKey(signer)},
//		HostKeys: []string{"sftp.example.com ssh-ed25519 AAAAC3Nza…"}, // as ssh-keyscan prints it
//	})
//	…
//	defer conn.Close()
//
// # Identity
//
// A connector talks only to a server whose key it was given ([Config.HostKeys], [Config.KnownHosts]); there is no
// "trust on first use". Several keys may be given, so that a partner can change theirs without an outage. Ways to log in
// are tried in the order of [Config.Auth]; a server that wants two of them gets two. Passwords are asked for when they
// are needed and not kept.
//
// # Sessions
//
// Files share sessions: up to [Config.FilesPerConnection] on each of up to [Config.MaxConnections] connections. The first
// handshake runs alone, and everybody who waits for it shares its result; further ones run three at a time. Idle sessions
// are kept warm, probed before they are used again, and closed after [Config.IdleTimeout].
//
// Nothing waits for ever: connecting, each request, and each window have a limit. The only way to end a request that is
// not answered is to close its connection. All files on it then fail with the same cause and go on from their checkpoints.
// For the same reason a request whose context has ended is given time to finish before the connection is closed: until the
// server was silent for 1 s, or for 5 s in all; while other files use the connection, 2 s and 15 s. Who cancels a file in
// mid-window waits for the packet that is just coming, and does not disturb the others. Every handle is closed.
//
// # Content
//
// pkg/sftp makes the requests about names. Content is moved by this package, over the same channel: many READs or WRITEs
// are under way at once, of 255 KiB where the server takes them (it is asked by limits@openssh.com, and what it answers
// short or refuses is noticed), else of 32 KiB. One channel moves at most 2 MiB in a round trip (golang.org/x/crypto/ssh
// downwards, OpenSSH upwards). So a file of more than 4 MiB, on a server 5 ms away or farther, is moved on several lanes at
// once: up to four channels on its own connection, and two on each of the others that [Config.MaxConnections] allows, twelve
// at most; nearby, one of 128 MiB or more takes a second connection. A further lane of a file that is read counts only if size and time are those that were pinned. Where the server
// refuses, or a further connection breaks, the file goes on with what is left.
//
// All that is done only on OpenSSH's own server, told by limits@openssh.com (since 8.5), because many others refuse to be
// written out of order, or through two handles. On those, and with [Profile.Sequential] or [Profile.ReadOnce], each file has
// one lane and is moved from its begin to its end. On OpenSSH a file of at most 28 KiB is written, compared and closed
// without waiting in between, and nobody waits for the CLOSE of a file that was read.
//
// # Delivery
//
// A file is written under a temporary name in the target's directory, every write and the CLOSE are checked, the size is
// compared, and only then is it renamed: with posix-rename@openssh.com where the server has it, which replaces an old
// file in one step. Without it an old file is removed first, and for a moment there is none
// (transfer.Features.AtomicReplace says which). Servers that cannot rename need [RenameDirect]. A delivery that was
// interrupted goes on where the server had last acknowledged a window.
//
// # Profiles
//
// Partners' servers differ, and [Profile] says how to treat one: how a file gets its name, what is asked after its CLOSE,
// mailboxes that hand out a file once, servers that take one request at a time or cannot go on in mid-file, times and
// permissions. Smaller packets, files that cannot be reopened or read from the middle, and a missing posix-rename are
// noticed without it. [Connector.TestConnection] shows what a server is like, the key that it has, and, if it may write,
// the profile that suits it:
//
//	report, err := conn.TestConnection(ctx, &sftpx.TestConnectionInput{ProbeDirectory: "/upload/test"})
//	…
//	cfg.Profile = report.Profile // report.Findings says why
//
// # Caveats
//
//   - A source is pinned by size and modification time, taken before it is opened; between OPEN and CLOSE nothing but
//     READ is sent, because some servers hand out a file once and regard a STAT as the end of it. A file that grows while
//     it is read is delivered as long as it was.
//   - A mailbox ([Profile.ReadOnce]) may take CLOSE for the end of a file, also if it failed on our side after it was read.
//     Where a file must not get lost, ask the partner to keep it until it is confirmed.
//   - The server's clock has seconds: two versions of one size within a second look alike.
//   - Where a server's rename replaces files although SFTP version 3 forbids it, an overwrite policy other than REPLACE
//     is kept by a STAT just before the rename, which another writer can beat.
//   - Where there is one lane, files of one connection share 2 MiB per round trip in each direction. A distant partner that
//     allows more connections is faster with more of them.
//   - Lanes count with the partner as channels (OpenSSH's MaxSessions, 10 unless set) and as open handles.
package sftpx
