package disktest

import "golang.org/x/sys/unix"

func init() {
	calls[unix.SYS_OPEN] = func(c call) ([]Op, error) { return c.open(c.current(), 0, c.args[1]) }
	calls[unix.SYS_MKDIR] = func(c call) ([]Op, error) { return c.onName(Mkdir, c.current(), 0) }
	calls[unix.SYS_RMDIR] = func(c call) ([]Op, error) { return c.onName(Remove, c.current(), 0) }
	calls[unix.SYS_UNLINK] = func(c call) ([]Op, error) { return c.onName(Remove, c.current(), 0) }
	calls[unix.SYS_RENAME] = func(c call) ([]Op, error) { return c.rename(c.current(), 0, c.current(), 1) }
}
