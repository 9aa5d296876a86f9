package mmap

// Advice is what is about to happen to some memory.
type Advice int

const (
	WillNeed  Advice = iota // it will be read soon: fetch it
	NotNeeded               // it will not be read for a while: it may leave memory
)
