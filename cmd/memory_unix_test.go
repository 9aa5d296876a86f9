//go:build unix

package cmd_test

import (
	"runtime"
	"syscall"
	"testing"
)

// frugal wants a command on a small file to have taken little memory: most of it is finchling, which is part of the program.
func frugal(t *testing.T, name string, r result) {
	t.Helper()
	const limit = 128 << 20
	peak := int64(r.state.SysUsage().(*syscall.Rusage).Maxrss)
	if runtime.GOOS != "darwin" {
		peak <<= 10 // KiB
	}
	if peak > limit {
		t.Errorf("%s: %d MiB of memory", name, peak>>20)
	}
}
