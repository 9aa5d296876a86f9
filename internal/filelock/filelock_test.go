package filelock

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func TestSecondHolderIsToldOfTheFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Acquire(path)
	var held *HeldError
	if !errors.As(err, &held) || held.PID != strconv.Itoa(os.Getpid()) {
		t.Fatalf("got %v, want a HeldError with this process", err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	second, err := Acquire(path)
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	second.Release()
}

func TestHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	wantHeld := func(want bool) {
		t.Helper()
		if held, err := Held(path); held != want || err != nil {
			t.Errorf("held: %v, %v, want %v", held, err, want)
		}
	}
	wantHeld(false)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("asking made the file: %v", err)
	}
	lock, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	wantHeld(true)
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	wantHeld(false)
}

// Whoever asks is not taken for a holder.
func TestAcquireBesideHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if held, err := tryLock(f); held || err != nil { // as Held does, for a long instant
		t.Fatal(held, err)
	}
	time.AfterFunc(2*instant, func() { f.Close() })
	lock, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	lock.Release()
}

func TestAcquireInAMissingFolder(t *testing.T) {
	if _, err := Acquire(filepath.Join(t.TempDir(), "no", "lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
