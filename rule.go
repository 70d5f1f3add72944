package transfer

import "github.com/seed62b9dc43/transfer/store"

// Rule says how files are moved and what is done before and after: a partner's flow under one name (Waarp's rule). A
// transfer that names a Rule takes from it what its request leaves empty; what it says itself must not contradict.
type Rule struct {
	// Direction is which way the rule's files go. 0: both.
	Direction store.Direction

	// SourceDirectory is where the files are taken from: with it, the paths of a request are relative to it and cannot
	// leave it. Default: paths are as the request gives them.
	SourceDirectory string

	// TargetDirectory is where they go. Default: what the request says.
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

	// Before, After and OnError are done for each file: before anything of it is moved, after it was published, and
	// when it is about to fail for good (not when it is paused or cancelled).
	Before, After, OnError []Task
}
