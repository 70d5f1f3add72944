package transfer

// LedgerPolicy says what becomes of a file that was transferred before, in the same version: same path, size and time, or
// the same ETag.
type LedgerPolicy string

// Ledger policies. The empty one neither asks the ledger nor writes into it.
const (
	LedgerSkip   LedgerPolicy = "SKIP"   // the file is completed without moving it; its result says Skipped
	LedgerResend LedgerPolicy = "RESEND" // it is transferred again, and the ledger written
	LedgerFail   LedgerPolicy = "FAIL"   // it fails with detail ALREADY_TRANSFERRED
)

func (p LedgerPolicy) valid() bool {
	return p == "" || p == LedgerSkip || p == LedgerResend || p == LedgerFail
}
