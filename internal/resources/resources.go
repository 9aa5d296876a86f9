// Package resources tells how much disk and memory there is. Numbers it cannot learn on a system are reported as unknown,
// never guessed.
package resources

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
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

// AvailableMemory is the number of bytes that can be allocated without swapping, as Linux estimates it, and no more than the
// process's control group allows: that is what a container is given.
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
		if err != nil {
			return 0, false
		}
		bytes = kib << 10
		if groups, err := os.ReadFile("/proc/self/cgroup"); err == nil {
			if limit, ok := groupLimit("/sys/fs/cgroup", string(groups)); ok {
				bytes = min(bytes, limit)
			}
		}
		return bytes, true
	}
	return 0, false
}

// groupLimit is the smallest limit of memory among the control groups of a process and those around them, of version 1 or 2.
// root is where they are mounted, groups the content of /proc/self/cgroup: lines of "number:controllers:path".
func groupLimit(root, groups string) (bytes int64, ok bool) {
	for line := range strings.Lines(groups) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		base, file := root, "memory.max"
		if fields[1] != "" {
			if !slices.Contains(strings.Split(fields[1], ","), "memory") {
				continue
			}
			base, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
		}
		// In a container the path is often that of the host and not there: then the mounted root is the group.
		for path := filepath.Clean("/" + fields[2]); ; path = filepath.Dir(path) {
			if text, err := os.ReadFile(filepath.Join(base, path, file)); err == nil {
				if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && (!ok || n < bytes) { // else "max"
					bytes, ok = n, true
				}
			}
			if path == "/" {
				break
			}
		}
	}
	return bytes, ok
}
