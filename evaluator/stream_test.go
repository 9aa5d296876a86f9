//go:build linux

package evaluator

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// A model that is streamed takes no more memory than some of its blocks, however large the file.
func TestStreamingKeepsFewBlocksInMemory(t *testing.T) {
	const blocks, hidden, mlp = 24, 256, 768
	dir := testmodel.Folder(t, testmodel.Llama(1, blocks, hidden, mlp, testmodel.Vocab))
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil || s.Type == unix.TMPFS_MAGIC {
		t.Skipf("%s is in memory itself: streaming is not measured", dir)
	}
	unix.Sync() // what is not on disk yet cannot leave memory
	for name, c := range map[string]struct {
		memory    int64
		low, high float64 // of the file, in memory at the end
	}{"kept": {0, 0.9, 1.1}, "streamed": {1, 0, 0.3}} {
		t.Run(name, func(t *testing.T) {
			m, err := model.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			e := newEngine(t, m, Options{Path: kernels.Paths()[0], Workers: 2, Context: 32, Memory: c.memory, NoTeacher: true})
			networks, text := []*model.Network{&m.Network}, corpus(t, 2, 32).Whole()
			score(t, e, networks, text)
			if share := float64(resident(t, dir)) / float64(m.Bytes); share < c.low || share > c.high {
				t.Errorf("%.2f of the file is in memory, want %v to %v", share, c.low, c.high)
			}
		})
	}
}

// resident is how many bytes of the files in a folder are in this process's memory.
func resident(t *testing.T, dir string) (bytes int64) {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if strings.Contains(fields[0], "-") { // addresses: a mapping begins
			inside = strings.HasPrefix(fields[len(fields)-1], dir)
		}
		if inside && fields[0] == "Rss:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			bytes += kib << 10
		}
	}
	return bytes
}
