package disktest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Run runs a command and shows see every change that it makes to the files in a folder, and what it prints, before that
// happens. An error number that see returns is what the command gets for it instead. What see is shown happens in the order
// of the calls, one at a time; changes through mapped memory are not seen. Run returns what c.Run would, or an error that
// is errors.ErrUnsupported where the kernel cannot do this (Linux can from 5.19 on).
func Run(c *exec.Cmd, folder string, see func(Op) syscall.Errno) error {
	folder, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "socket"), os.NewFile(uintptr(pair[1]), "socket")
	defer ours.Close()
	c.Env = append(c.Environ(), variable+"="+c.Path)
	c.Path = self
	c.ExtraFiles = []*os.File{theirs} // the first of them is file 3
	err = c.Start()
	theirs.Close()
	if err != nil {
		return err
	}
	listener, err := receive(ours)
	if err == nil {
		defer unix.Close(listener)
		err = watch(listener, folder, see)
	}
	if err != nil {
		c.Process.Kill()
		c.Wait()
		return err
	}
	return c.Wait()
}

// receive gets the file that shows the calls, or the reason why there is none.
func receive(from *os.File) (listener int, err error) {
	text, rights := make([]byte, 256), make([]byte, unix.CmsgSpace(4))
	n, m, _, _, err := unix.Recvmsg(int(from.Fd()), text, rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return 0, err
	}
	if m == 0 {
		return 0, fmt.Errorf("%w: watch system calls: %s", errors.ErrUnsupported, text[:n])
	}
	messages, err := unix.ParseSocketControlMessage(rights[:m])
	if err != nil {
		return 0, err
	}
	files, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return 0, err
	}
	return files[0], nil
}

// notification is the kernel's struct seccomp_notif, and response its seccomp_notif_resp.
type notification struct {
	id      uint64
	thread  uint32
	flags   uint32
	number  int32
	machine uint32
	address uint64
	args    [6]uint64
}

type response struct {
	id    uint64
	value int64
	err   int32 // negative
	flags uint32
}

// watch answers for the calls of a process until it ends.
func watch(listener int, folder string, see func(Op) syscall.Errno) error {
	for {
		poll := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return err
		}
		if poll[0].Revents&unix.POLLIN == 0 {
			return nil // the process has ended
		}
		var n notification
		if err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINTR) {
			continue // killed meanwhile
		} else if err != nil {
			return err
		}
		answer := response{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		ops, err := calls[uintptr(n.number)](call{fmt.Sprintf("/proc/%d", n.thread), folder, n.args})
		if err != nil && ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&n.id)) == nil {
			return fmt.Errorf("read the arguments of system call %d: %w", n.number, err)
		}
		for _, op := range ops {
			if errno := see(op); errno != 0 {
				answer.err, answer.flags = -int32(errno), 0
				break
			}
		}
		if err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&answer)); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
}

func ioctl(file int, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(file), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}
