package kernels

/*
#cgo CFLAGS: -O3 -std=c11
#cgo LDFLAGS: -lm
#include "kernels.h"
*/
import "C"

import (
	"fmt"
	"strings"
	"unsafe"
)

// Path is one way to compute: an instruction set and a precision. See the package comment.
type Path struct {
	name string
	c    *C.struct_path
}

// Paths lists the paths that this CPU can run, best first. The last one is always "portable".
func Paths() []*Path {
	var usable []*Path
	for i := 0; ; i++ {
		c := C.finch_path(C.int(i))
		if c == nil {
			return usable
		}
		if C.finch_supported(c) != 0 {
			usable = append(usable, &Path{name: C.GoString(c.name), c: c})
		}
	}
}

// Select finds a path by name; "" means the best one here.
func Select(name string) (*Path, error) {
	usable := Paths()
	if name == "" {
		return usable[0], nil
	}
	names := make([]string, len(usable))
	for i, p := range usable {
		if p.name == name {
			return p, nil
		}
		names[i] = p.name
	}
	trouble := "is unknown"
	for i := 0; ; i++ {
		c := C.finch_path(C.int(i))
		if c == nil {
			break
		}
		if C.GoString(c.name) == name {
			trouble = "needs instructions that this CPU lacks"
		}
	}
	return nil, fmt.Errorf("kernel path %q %s: choose one of %s", name, trouble, strings.Join(names, ", "))
}

// Name is "avx512bf16", "avx512", "avx2", "neon" or "portable".
func (p *Path) Name() string { return p.name }

// Exact is the path itself or, if it rounds what it multiplies, the best one here that multiplies what is stored.
func (p *Path) Exact() *Path {
	for _, exact := range append([]*Path{p}, Paths()...) {
		if exact.c.gemm.per == 1 { // two bf16 otherwise
			return exact
		}
	}
	panic("kernels: the portable path is gone")
}

// NewWorker makes a worker for one goroutine.
func (p *Path) NewWorker() *Worker { return &Worker{path: p.c} }

// Worker computes on one goroutine at a time; its scratch buffers grow to what its calls need and stay.
// Slices passed to its methods are only used during the call. Unless said otherwise they must not overlap.
type Worker struct {
	path *C.struct_path

	x, teacher buffer // packed activations
	panel      buffer // a packed panel of W
	rows       buffer // unpacked rows, on their way into the panel
	attention  buffer
	logits     buffer
}

// buffer is scratch memory for C: 32-bit units, aligned to cache lines.
type buffer struct {
	memory []float32
}

const (
	alignment = 64
	vector    = 16 // floats of the longest vector; packing may write one past the end
)

// grow makes room for n units and returns the first. The contents are undefined.
func (b *buffer) grow(n int) *C.float {
	const slack = alignment / 4
	if len(b.memory) < n+vector+slack {
		b.memory = make([]float32, n+vector+slack)
	}
	skip := 0
	if misaligned := int(uintptr(unsafe.Pointer(&b.memory[0])) % alignment); misaligned != 0 {
		skip = (alignment - misaligned) / 4
	}
	return (*C.float)(&b.memory[skip])
}

// floats is the C pointer to x, nil if x is empty.
func floats(x []float32) *C.float { return (*C.float)(unsafe.SliceData(x)) }

// check panics if a condition on the shapes that a caller passed does not hold.
func check(ok bool, format string, args ...any) {
	if !ok {
		panic("kernels: " + fmt.Sprintf(format, args...))
	}
}

func roundUp(n, multiple int) int { return (n + multiple - 1) / multiple * multiple }
