// Package resources tells how much disk and memory there is. Numbers it cannot learn on a system are reported as unknown,
// never guessed.
package resources

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// FreeDisk is the number of bytes that can still be written in the folder that holds path, or would hold it.
func FreeDisk(path string) (bytes int64, ok bool) {
	dir := path
	for {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return freeDisk(dir)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return 0, false
		}
		dir = parent
	}
}

// AvailableMemory is the number of bytes that can be allocated without swapping, as Linux estimates it.
func AvailableMemory() (bytes int64, ok bool) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		value, found := strings.CutPrefix(lines.Text(), "MemAvailable:")
		if !found {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
		return kib << 10, err == nil
	}
	return 0, false
}
