package resources

import (
	"path/filepath"
	"runtime"
	"testing"
)

func TestFreeDisk(t *testing.T) {
	dir := t.TempDir()
	here, ok := FreeDisk(dir)
	below, ok2 := FreeDisk(filepath.Join(dir, "not", "there"))
	if ok != ok2 || (ok && (here <= 0 || below <= 0)) {
		t.Errorf("here %d %v, below %d %v", here, ok, below, ok2)
	}
	if runtime.GOOS == "linux" && !ok {
		t.Error("Linux can tell")
	}
}

func TestAvailableMemory(t *testing.T) {
	bytes, ok := AvailableMemory()
	if runtime.GOOS == "linux" && (!ok || bytes < 1<<20) {
		t.Errorf("%d %v", bytes, ok)
	}
}
