package mmap

import "runtime"

// Advice is what is about to happen to some memory.
type Advice int

const (
	WillNeed  Advice = iota // it will be read soon: fetch it
	NotNeeded               // it will not be read for a while: it may leave memory
)

// Touch reads one byte of every page, so that all of data is in memory, and returns its length.
func Touch(data []byte) int64 {
	var sum byte
	for i := 0; i < len(data); i += 4096 {
		sum ^= data[i]
	}
	runtime.KeepAlive(sum) // or the compiler leaves the reads out
	return int64(len(data))
}
