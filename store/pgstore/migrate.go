package pgstore

import (
	"context"
	"embed"
	"fmt"
	"hash/fnv"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed migrations/*.sql
var embedded embed.FS

// Migrations returns the schema's versions as numbered SQL files ("0001_files.sql"), for a migration tool of the
// caller's. Each names its tables without a schema (set search_path) and records its number itself in schema_version,
// so that Open finds nothing left to do.
func Migrations() fs.FS {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil {
		panic(err) // the folder's name is a constant
	}
	return sub
}

// migration is one step to a version.
type migration struct {
	version int
	sql     string
}

// readMigrations returns all steps in their order; the first makes version 1.
func readMigrations() ([]migration, error) {
	names, err := fs.Glob(Migrations(), "*.sql") // sorted
	if err != nil {
		return nil, fmt.Errorf("pgstore: list migrations: %w", err)
	}
	steps := make([]migration, len(names))
	for i, name := range names {
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("pgstore: migration %s is not number %d", name, i+1)
		}
		sql, err := fs.ReadFile(Migrations(), name)
		if err != nil {
			return nil, fmt.Errorf("pgstore: read migration: %w", err)
		}
		steps[i] = migration{version, string(sql)}
	}
	return steps, nil
}

// migrate brings the schema to the newest version. Nothing is asked of the role where that is so already.
func migrate(ctx context.Context, pool *pgxpool.Pool, schema string) error {
	steps, err := readMigrations()
	if err != nil {
		return err
	}
	reach, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	version, err := versionOf(reach, pool, schema)
	if err == nil && version < len(steps) {
		err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
			version, err = apply(ctx, tx, schema, steps)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("pgstore: migrate schema %s: %w", schema, err)
	}
	if version > len(steps) {
		return fmt.Errorf("pgstore: schema %s has version %d, this code knows versions up to %d (upgrade the program)",
			schema, version, len(steps))
	}
	return nil
}

// apply takes the steps that are missing, while all others who want to wait, and returns the version then.
func apply(ctx context.Context, tx pgx.Tx, schema string, steps []migration) (int, error) {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", lockKey(schema, "migrate")); err != nil {
		return 0, err
	}
	version, err := versionOf(ctx, tx, schema)
	if err != nil || version >= len(steps) {
		return version, err
	}
	if err := enter(ctx, tx, schema); err != nil {
		return version, err
	}
	for _, step := range steps[version:] {
		if _, err := tx.Exec(ctx, step.sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			return version, fmt.Errorf("version %d: %w", step.version, err)
		}
	}
	return len(steps), nil
}

// enter makes the schema the one where names without a schema are, and creates it if it is missing.
func enter(ctx context.Context, tx pgx.Tx, schema string) error {
	exists := false
	err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", schema).Scan(&exists)
	if err != nil {
		return err
	}
	if !exists { // IF NOT EXISTS would ask for the right to create even where nothing is created
		if _, err := tx.Exec(ctx, "CREATE SCHEMA "+quote(schema)); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, "SET LOCAL search_path TO "+quote(schema))
	return err
}

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// versionOf returns the version of the schema, 0 if it is not there.
func versionOf(ctx context.Context, db querier, schema string) (int, error) {
	exists, version := false, 0
	// not to_regclass: in apply it would not see what was committed while the lock was waited for
	const found = `SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = 'schema_version')`
	err := db.QueryRow(ctx, found, schema).Scan(&exists)
	if err != nil || !exists {
		return 0, err
	}
	err = db.QueryRow(ctx, qualify(schema, "SELECT coalesce(max(version), 0) FROM @.schema_version")).Scan(&version)
	return version, err
}

// lockKey is the advisory lock of something in the schema. Two things with one key only wait for each other.
func lockKey(schema, name string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("transfer\x00" + schema + "\x00" + name)) // never fails
	return int64(h.Sum64())
}
