package resources

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// PeakMemory is the most memory that the process has had resident, mapped files included, since its start or the last
// ResetPeakMemory.
func PeakMemory() (bytes int64, ok bool) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), "VmHWM:"); found {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, false
}

// ResetPeakMemory forgets the peak so far, where the system allows it.
func ResetPeakMemory() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }
