package cmd_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/finch-llm/finch/internal/disktest"
	"github.com/finch-llm/finch/internal/failpoint"
	"github.com/finch-llm/finch/store"
)

// TestKillMigration kills processes while they bring the database of a half-finished run up to date, each before a change of a file
// that is drawn, and then lets the run end.
func TestKillMigration(t *testing.T) {
	finishedRun(t)
	rng := draws(t)
	begun := experiments(t)
	killedAt(t, "generation.committed:3", begun, "run", "two.toml")
	kept := committed(t, begun)

	// migrate has a process change the database, until so many changes of files are made or the migration is, and gives how many
	// the migration took.
	migrate := func(dir string, most int) (changes int) {
		t.Helper()
		edit(t, dir, toSchema2)
		c, r := telling(t, dir, "run", "two.toml")
		made := 0
		err := disktest.Run(c, dir, func(op disktest.Op) syscall.Errno {
			switch {
			case made == most || strings.HasPrefix(string(op.Data), "failpoint "+string(failpoint.Resume)):
				c.Process.Kill()
				return 0
			case acknowledges(op):
				changes = made
			}
			made++
			return 0
		})
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip(err)
		}
		if r := r(); r.code != -1 {
			t.Fatalf("not killed: %v, exit code %d\n%s", err, r.code, r.stderr)
		}
		return changes
	}
	all := migrate(copyOf(t, begun), -1)
	t.Logf("a migration from schema 2 makes %d changes of files", all)

	const perFolder = 4
	for left := migrationKills(); left > 0; left -= perFolder {
		dir := copyOf(t, begun)
		for range min(left, perFolder) {
			migrate(dir, rng.IntN(all))
			db, err := store.Open(context.Background(), filepath.Join(dir, "finch.db"), store.Options{}) // goes on with the migration
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			keeps(t, "a kill", kept, committed(t, dir))
		}
		wantSame(t, dir, "run", "two.toml")
		keeps(t, "the end", kept, committed(t, dir))
		if files := names(t, dir); !strings.Contains(files, "finch.db.bak-v2") {
			t.Errorf("no copy of the old database among %s", files)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}
