// Package watch starts transfers of files that nobody has named: those that a [Selection] finds in a directory of ours or of a
// partner, once ([Watcher.StartSelection]) or again and again ([Watch]).
//
// A [Watcher] stands beside a transfer.Client and uses the same Store. Of all Watchers over one Store, one at a time looks into
// the directory of a watch. If its node dies, another one takes over when its lease has expired (Config.Lease).
//
// # Each file once
//
// A file is known by its path, size and modification time. What is about to be started is written first, as a plan, with the
// client token of each transfer; then the transfers are started. Whoever finds a plan starts it again, with the same tokens,
// which changes nothing where they were started before. So neither a crash at any point nor a node that was suspended starts
// a version of a file twice, as long as the transfers of the plan are not purged (transfer.Retention) before somebody comes to it
// again.
//
// A watch remembers what it has started while that is still there. It does not start it again when it failed: that takes
// a change of the file, or somebody who retries it (Client.RetryTransfer). A file that comes back after a look that did not
// find it is a new one. A transfer.LedgerPolicy holds back what was transferred before whoever asked for it, also after it was
// away: a file that the ledger has with the same size and time is not started at all. Where the ledger has an ETag, as it has
// for S3, no listing can tell, and the file is started and then skipped by the engine.
//
// What becomes of the source is a matter of the rule: its tasks remove or move it after it was delivered.
//
// # What it does not do
//
//   - It polls. A file that comes and goes between two looks is not seen, and one that changes between two looks is started
//     once. A new version that comes while the one before still waits for its turn makes a second transfer, and both
//     deliver the new one; with LedgerSkip the second is skipped.
//   - It does not hold a file fast. One that vanishes between a look and its turn fails with SEND_FILE_NOT_FOUND or
//     RETRIEVE_FILE_NOT_FOUND, as one that was named by hand.
//   - Two watches over one directory know nothing of each other, and both start what they find, unless a ledger holds it back.
//   - Whether a file is complete, only its writer knows: a marker file or a rename at the end is certain, Guard.Unchanged and
//     Selection.MinAge are likely. See [Guard] about clocks.
//
// # Limits
//
// While a partner's time window (transfer.Limits.Open) is closed, a run that is due is put off: it is tried again at its next
// time, or after a minute if that is sooner, which counts as no failure.
//
// A look comes to 200,000 files and directories; a watch with more reports Truncated. One run starts up to
// Selection.MaxFiles; plans have up to 5,000 files. The state of a watch takes about 23 bytes in the Store for each file that
// is there and was started, and is written with each plan and at the end of each run. Paths and the targets made of them have
// up to 1,024 characters. What has a longer one, or a name that is not UTF-8, has control characters or leads out of the
// directory, is passed over, counted (Status.PassedOver) and logged.
//
// A file that a watch remembers is not looked up in the ledger again: Client.ForgetTransferred has it started again only
// together with [Watcher.Forget].
package watch
