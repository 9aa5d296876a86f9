//go:build linux || darwin

package resources

import "golang.org/x/sys/unix"

func freeDisk(dir string) (int64, bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
