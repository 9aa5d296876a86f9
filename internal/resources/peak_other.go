//go:build !linux

package resources

// PeakMemory is not known on this system.
func PeakMemory() (bytes int64, ok bool) { return 0, false }

// ResetPeakMemory does nothing on this system.
func ResetPeakMemory() {}
