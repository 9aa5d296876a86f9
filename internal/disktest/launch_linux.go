package disktest

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A filter of system calls can only be laid on oneself. So Run starts the test's own binary, which, when this variable names a
// program, asks the kernel to show certain of its calls to whoever has the file that it gets for that (seccomp_unotify(2)),
// sends the file over the socket that it was started with, and becomes the program.
const (
	variable = "FINCH_DISKTEST_PROGRAM"
	socket   = 3
)

func init() {
	if program := os.Getenv(variable); program != "" {
		err := become(program)
		unix.Sendmsg(socket, []byte(err.Error()), nil, nil, 0)
		os.Exit(1)
	}
}

func become(program string) error {
	runtime.LockOSThread() // the filter is one of this thread, and exec keeps it
	unix.CloseOnExec(socket)
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl: %w", err)
	}
	filter := showing(calls)
	// Once a call is shown, only a deadly signal interrupts it: else it would be begun, and shown, again.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	listener, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags,
		uintptr(unsafe.Pointer(&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	if err := unix.Sendmsg(socket, []byte{0}, unix.UnixRights(int(listener)), nil, 0); err != nil {
		return fmt.Errorf("send the listener: %w", err)
	}
	unix.CloseOnExec(int(listener))
	environment := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, variable+"=") })
	return fmt.Errorf("exec %s: %w", program, unix.Exec(program, os.Args, environment))
}

// showing is the filter, in the kernel's language: it compares the number of a call, the first word it is given, with each.
func showing(calls map[uintptr]decoder) []unix.SockFilter {
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	for number := range calls {
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(number)},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	return append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
}
