package mmap

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Advise tells the system about the whole pages of data, which need not be mapped from a file: what it holds is never lost.
// It is only advice, so that failures are of no consequence.
func Advise(data []byte, a Advice) {
	page := uintptr(os.Getpagesize())
	start := uintptr(unsafe.Pointer(unsafe.SliceData(data)))
	skip := (page - start%page) % page
	if uintptr(len(data)) < skip+page {
		return
	}
	whole := data[skip : skip+(uintptr(len(data))-skip)/page*page]
	advice := unix.MADV_WILLNEED
	if a == NotNeeded {
		advice = unix.MADV_PAGEOUT // MADV_DONTNEED would empty memory that no file stands behind
	}
	unix.Madvise(whole, advice)
}
