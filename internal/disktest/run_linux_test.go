package disktest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// shell runs a script in a folder and gives what see was shown.
func shell(t *testing.T, folder, script string, answer func(Op) syscall.Errno) (ops []Op, output string, err error) {
	t.Helper()
	c := exec.Command("sh", "-c", script)
	c.Dir = folder
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err = Run(c, folder, func(op Op) syscall.Errno {
		ops = append(ops, op)
		return answer(op)
	})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	return ops, out.String(), err
}

func allow(Op) syscall.Errno { return 0 }

func TestRunShowsWhatIsDone(t *testing.T) {
	folder := t.TempDir()
	ops, output, err := shell(t, folder, "printf hello >a; mkdir d; mv a d/b; printf '!' >>d/b; echo done; mv d/b d/c; rm d/c; rmdir d; : >/dev/null", allow)
	if err != nil || output != "done\n" {
		t.Fatalf("%v, printed %q", err, output)
	}
	var got []string
	for _, op := range ops {
		got = append(got, op.String())
	}
	want := []string{"create a", "write a: 5 bytes at 0", "mkdir d", "rename a to d/b", "open d/b", "write d/b: 1 bytes at 5", `print "done\n"`,
		"rename d/b to d/c", "remove d/c", "remove d"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("saw\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRunFailsCalls(t *testing.T) {
	folder := t.TempDir()
	_, output, err := shell(t, folder, "printf hello >a && printf hello >b", func(op Op) syscall.Errno {
		if op.Path == "b" {
			return syscall.EROFS
		}
		return 0
	})
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(output, "ead-only file system") {
		t.Errorf("%v, printed %q", err, output)
	}
	if _, err := os.Stat(filepath.Join(folder, "a")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "b")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
}

func TestRunEndsAsTheCommandDoes(t *testing.T) {
	_, _, err := shell(t, t.TempDir(), "exit 7", allow)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("%v, want exit status 7", err)
	}
	if _, _, err := shell(t, t.TempDir(), "kill -9 $$", allow); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Errorf("%v, want signal: killed", err)
	}
	if err := Run(exec.Command("/there/is/no/such/program"), t.TempDir(), allow); err == nil {
		t.Error("no error without a program")
	}
}
