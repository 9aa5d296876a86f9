package resources

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGroupLimit(t *testing.T) {
	root := t.TempDir()
	for path, content := range map[string]string{
		"memory.max":                             "max\n",
		"user/memory.max":                        "5000\n",
		"user/job/memory.max":                    "7000\n",
		"memory/memory.limit_in_bytes":           "9223372036854771712\n",
		"memory/batch/job/memory.limit_in_bytes": "3000\n",
		"cpu/batch/memory.limit_in_bytes":        "1\n",
	} {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		groups string
		bytes  int64
		ok     bool
	}{
		"none":                 {"", 0, false},
		"version 2":            {"0::/user\n", 5000, true},
		"the group around":     {"0::/user/job\n", 5000, true},
		"no limit":             {"0::/\n", 0, false},
		"version 1":            {"3:cpu:/batch\n2:memory,freezer:/batch/job\n", 3000, true},
		"both":                 {"2:memory:/batch\n0::/user\n", 5000, true},
		"a path of the host":   {"0::/docker/1234\n", 0, false},
		"not what is expected": {"memory\n:\n0::../../user\n", 5000, true},
	} {
		t.Run(name, func(t *testing.T) {
			if bytes, ok := groupLimit(root, c.groups); ok != c.ok || bytes != c.bytes {
				t.Errorf("%d, %v, want %d, %v", bytes, ok, c.bytes, c.ok)
			}
		})
	}
}
