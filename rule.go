package transfer

import "github.com/seed62b9dc43/transfer/store"

// Rule says how files are moved and what is done before and after: a partner's flow under one name (Waarp's rule). A
// transfer that names a Rule takes from it what its request leaves empty; what it says itself must not contradict. It goes
// by the rule as it is in Config when its files are moved, except for the fields up to Priority, which are taken when it is
// started. A node that does not have the rule leaves the file Waiting, with detail RULE_NOT_FOUND, for one that has.
type Rule struct {
	// Direction is which way the rule's files go. 0: both.
	Direction store.Direction

	// SourceDirectory is where the files are taken from: with it, the paths of a request are relative to it, or absolute
	// and below it, and cannot leave it by name: ".." and backslashes are refused. Default: paths are as the request
	// gives them.
	SourceDirectory string

	// TargetDirectory is where they go. A request may name it too, or a directory below it. Default: what the request says.
	TargetDirectory string

	// Overwrite, Verify and FailIfChanged are those of requests that say nothing of their own.
	Overwrite     Overwrite
	Verify        Verify
	FailIfChanged bool

	// Ledger says what becomes of a file that was transferred before, in the same version. Default: it is sent again.
	Ledger LedgerPolicy

	// Priority of the rule's files among those of their connector. Default: store.Normal.
	Priority store.Priority

	// Limits bound the rule's files on this node, beside those of the connector and of the node.
	Limits Limits

	// Transforms are applied to the content on the way, one after the other.
	Transforms []Transform

	// Before, After and OnError are chains of up to 100 tasks each, done one after the other for each file.
	//
	// Before runs before anything of the file is moved, once. After runs when it was published and verified: from then
	// on it is never moved again, and it is COMPLETED with the last task. A file that was not moved because of
	// OverwriteSkip or the Ledger has none. A task that fails for good fails the file, although it is at its target. What a user
	// cancels then stays there.
	//
	// OnError runs when the file is about to fail for good (not when it is paused or cancelled), while it is still
	// IN_PROGRESS. The first of its tasks that fails, in whatever way, ends it; the message says so, and why the file
	// failed stays what it is. One that the partner's closed window (Limits.Open) keeps from it waits for that to open.
	//
	// A chain is kept by the number of its next task: take files to their end, or give the rule another name, before
	// you put tasks in front of others. A task whose name is not that which was cut off is not run in its place.
	Before, After, OnError []Task
}
