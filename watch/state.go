package watch

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// keptTransfers is how many transfer ids a watch or a selection remembers, the newest.
const keptTransfers = 1000

// state is what is kept of a watch or a selection in the Store.
type state struct {
	Salt  string `json:"salt"`            // tells the client tokens of this state from others
	Plans int64  `json:"plans,omitempty"` // requests that were planned
	Table []byte `json:"table,omitempty"` // of known
	// Plan are requests that were about to be made. Whoever comes next makes them again: their client tokens see to it
	// that nothing is started twice.
	Plan []transfer.StartFileTransferInput `json:"plan,omitempty"`

	Runs      int64     `json:"runs,omitempty"`
	Started   int64     `json:"started,omitempty"` // files, in all
	LastRun   time.Time `json:"lastRun,omitzero"`
	LastError string    `json:"lastError,omitempty"` // of the last run; empty if it went well
	Failures  int       `json:"failures,omitempty"`  // runs that failed, in a row
	Transfers []string  `json:"transfers,omitempty"`
	Last      counts    `json:"last"` // look

	// Of a selection alone.
	Finished time.Time `json:"finished,omitzero"`
	Failed   bool      `json:"failed,omitempty"` // for good
	Shut     time.Time `json:"shut,omitzero"`    // when the partner's time window was seen closed last

	known table
}

// parseState reads what marshal made; nothing at all is a state that nobody wrote yet.
func parseState(data []byte) (*state, error) {
	s := &state{known: table{}}
	if len(data) == 0 {
		s.Salt = rand.Text()[:16]
		return s, nil
	}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%w: %w", errTable, err)
	}
	var err error
	s.known, err = parseTable(s.Table)
	s.Table = nil
	return s, err
}

func (s *state) marshal() ([]byte, error) {
	with := *s
	with.Table = s.known.marshal()
	data, err := json.Marshal(with)
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	return data, nil
}

// save writes the state into its duty.
func (s *state) save(ctx context.Context, h *held) error {
	data, err := s.marshal()
	if err == nil {
		err = h.save(ctx, data)
	}
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return nil
}

// token returns a client token that no other request has.
func (s *state) token() string {
	s.Plans++
	return fmt.Sprintf("watch-%s-%d", s.Salt, s.Plans)
}

func (s *state) note(transferID string, files int) {
	s.Started += int64(files)
	s.Transfers = append(s.Transfers, transferID)
	s.Transfers = s.Transfers[max(0, len(s.Transfers)-keptTransfers):]
}

// ended notes how a run ended.
func (s *state) ended(err error) {
	s.Runs++
	if err == nil {
		s.LastError, s.Failures = "", 0
		return
	}
	s.LastError = shortenTo(err.Error(), maxErrorLength)
	if isShut(err) {
		s.Shut = time.Now().UTC()
	} else {
		s.Failures++
	}
}

const maxErrorLength = 1000 // characters
