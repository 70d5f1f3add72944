package sqlitestore

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
)

//go:embed migrations/*.sql
var embedded embed.FS

// Migrations returns the SQL that [Open] runs, one file for each version of the schema, in the order of their names.
// PRAGMA user_version says how many of them a file has seen.
func Migrations() fs.FS {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil {
		panic(err) // the name is a constant
	}
	return sub
}

// migrate brings the schema up to date, in one transaction.
func migrate(w *writer) error {
	files, err := fs.Glob(Migrations(), "*.sql")
	if err != nil {
		return err
	}
	return w.transact(context.Background(), 0, func(_ context.Context, w *writer, _ micros) error {
		version := 0
		if err := w.conn.QueryRowContext(context.Background(), "PRAGMA user_version").Scan(&version); err != nil {
			return fmt.Errorf("read the version of the schema: %w", err)
		}
		if version > len(files) {
			return fmt.Errorf("the file has version %d of the schema, this program knows versions up to %d (use a newer program)",
				version, len(files))
		}
		if version == len(files) {
			return nil
		}
		for ; version < len(files); version++ {
			if err := w.script(files[version]); err != nil {
				return fmt.Errorf("migrate to version %d of the schema: %w", version+1, err)
			}
		}
		_, err := w.conn.ExecContext(context.Background(), fmt.Sprint("PRAGMA user_version = ", len(files)))
		return err
	})
}

// script runs the statements of one migration.
func (w *writer) script(name string) error {
	text, err := fs.ReadFile(Migrations(), name)
	if err != nil {
		return err
	}
	_, err = w.conn.ExecContext(context.Background(), string(text))
	return err
}
