package evaluator

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// Panic is the error of a call in which a worker panicked: the call computed nothing, and the engine is as good as before. What
// ends the process, as a fault in the kernels' C code or memory that the system has not got, cannot be turned into one.
type Panic struct {
	Value any
	Stack string // the innermost calls, such as "model.(*Runner).mlp mlp.go:41 < model.(*Runner).block forward.go:170"
}

func (p *Panic) Error() string { return fmt.Sprintf("panic: %v (%s)", p.Value, p.Stack) }

// rescue makes the error of a panic. It is deferred.
func rescue(err *error) {
	if v := recover(); v != nil {
		*err = &Panic{v, innermost(4)}
	}
}

// innermost names the calls that led to a panic, up to so many, without those of the runtime. It is called by a deferred function.
func innermost(calls int) string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)]) // without Callers, innermost and rescue
	var names []string
	for len(names) < calls {
		f, more := frames.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") {
			names = append(names, fmt.Sprintf("%s %s:%d", f.Function[strings.LastIndexByte(f.Function, '/')+1:], filepath.Base(f.File), f.Line))
		}
		if !more {
			break
		}
	}
	return strings.Join(names, " < ")
}
