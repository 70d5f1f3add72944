package transfer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// Retention says how long finished files stay in the Store, by their status, and what else it keeps; 0 keeps all. A transfer is forgotten with
// its last file, and then its ClientToken may be used again. What is forgotten of a failed file includes what it may have
// left behind at a partner that could not be reached since.
type Retention struct {
	Done    time.Duration // after a file was delivered
	InError time.Duration // after a file failed or was cancelled

	// Audit is how long records of the audit trail stay after they were noted, whatever becomes of the files' rows.
	Audit time.Duration

	Ledger time.Duration // what the ledger knows of a file after it was transferred last (LedgerPolicy)
}

// purgeBatch is how many files are removed at a time; between two batches others get their turn.
const purgeBatch = 1000

// purgeInterval is how often a started Client applies Config.Retention.
const purgeInterval = 10 * time.Minute

func (r Retention) check(where string) (problem string) {
	for _, f := range []struct {
		name string
		age  time.Duration
	}{{"Done", r.Done}, {"InError", r.InError}, {"Audit", r.Audit}, {"Ledger", r.Ledger}} {
		if f.age < 0 {
			problem += fmt.Sprintf("; %s.%s is %v (use more than 0, or 0 to keep)", where, f.name, f.age)
		}
	}
	return strings.TrimPrefix(problem, "; ")
}

// Purge removes finished files and records of the audit trail that are older than r says, from the Store alone: delivered
// files stay where they are. A file whose event a sink has not taken yet is removed all the same; the event then says less
// (Event.Purged). It returns how many files it removed, also when it ends with an error. A started Client does so by itself, for
// Config.Retention, every ten minutes.
//
// Errors: InvalidRequestException for a negative age, ServiceUnavailableException when the Store failed.
func (c *Client) Purge(ctx context.Context, r Retention) (removed int64, err error) {
	if problem := r.check("Retention"); problem != "" {
		return 0, &InvalidRequestException{Message: problem}
	}
	if err := c.audit(ctx, AuditPurge, AuditAsked{Query: fmt.Sprintf("%+v", r)}); err != nil {
		return 0, err
	}
	return purge(ctx, c.cfg.Store, r)
}

func purge(ctx context.Context, s store.Store, r Retention) (removed int64, err error) {
	for _, part := range []struct {
		age    time.Duration
		states []store.State
	}{{r.Done, statesOf(StatusDone)}, {r.InError, statesOf(StatusInError)}} {
		if part.age == 0 {
			continue
		}
		for {
			n, err := s.Purge(ctx, store.PurgeRequest{States: part.states, OlderThan: part.age, Max: purgeBatch})
			removed += int64(n)
			if err != nil {
				return removed, storeFailure("purge", err)
			}
			if n < purgeBatch {
				break
			}
		}
	}
	if err := purgeAudit(ctx, s, r.Audit); err != nil {
		return removed, err
	}
	return removed, purgeLedger(ctx, s, r.Ledger)
}

// purgeAudit removes records of the audit trail; 0 keeps them.
func purgeAudit(ctx context.Context, s store.Store, age time.Duration) error {
	for age > 0 {
		n, err := s.PurgeEvents(ctx, auditStream, age, purgeBatch)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return storeFailure("purge audit trail", err)
		}
		if n < purgeBatch {
			break
		}
	}
	return nil
}

func purgeLedger(ctx context.Context, s store.Store, age time.Duration) error {
	for n := purgeBatch; age > 0 && n == purgeBatch; {
		var err error
		if n, err = s.PurgeLedger(ctx, age, purgeBatch); err != nil {
			return storeFailure("purge ledger", err)
		}
	}
	return nil
}
