package compress

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/finch-llm/finch/kernels"
)

// testJobs are layers at every kind of level; loads counts the layers that are loaded.
func testJobs(t *testing.T) (jobs []Job, loads chan string) {
	t.Helper()
	loads = make(chan string, 1000)
	weights := testWeights("heavy", 64, 256)
	for i := range 6 {
		rows := 4 + i
		w := weights[i*1024 : i*1024+rows*256]
		source := testSource(fmt.Sprintf("blk.%d.ffn_down", i), rows, 256, w)
		load := source.Load
		source.Load = func() ([]float32, error) {
			loads <- source.Name
			return load()
		}
		for _, name := range []string{"bf16", "q2_k", "q4_k", "q8_0", "sparse-0.60", "sparse@777+q4_0"} {
			level, err := ParseLevel(name)
			if err != nil {
				t.Fatal(err)
			}
			jobs = append(jobs, Job{source, level})
		}
	}
	return jobs, loads
}

// sameInfo takes errors that were not measured for equal.
func sameInfo(a, b Info) bool {
	if math.IsNaN(a.OutputError) && math.IsNaN(b.OutputError) {
		a.OutputError, b.OutputError = 0, 0
	}
	return a == b
}

func testSource(name string, rows, cols int, w []float32) Source {
	raw := new(bytes.Buffer)
	if err := binary.Write(raw, binary.LittleEndian, w); err != nil {
		panic(err)
	}
	return Source{Name: name, Rows: rows, Cols: cols, Hash: HashWeights("f32", rows, cols, raw.Bytes()),
		Load: func() ([]float32, error) { return w, nil }}
}

func readFolder(t *testing.T, dir string) map[string]string {
	t.Helper()
	paths, err := levelPaths(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = string(data)
	}
	return files
}

func TestBuildAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "levels")
	jobs, loads := testJobs(t)
	var done, total int
	var size int64
	progress := func(d, n int, b int64) {
		if d != done+1 {
			t.Errorf("progress goes from %d to %d", done, d)
		}
		done, total, size = d, n, b
	}
	if err := Build(t.Context(), dir, jobs, 2, time.Now, progress); err != nil {
		t.Fatal(err)
	}
	if done != len(jobs) || total != len(jobs) || len(loads) != 6 {
		t.Errorf("%d of %d jobs done, layers loaded %d times", done, total, len(loads))
	}

	db, err := OpenDatabase(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var sum int64
	for _, j := range jobs {
		w, _ := j.Layer.Load()
		layer := Layer{Name: j.Layer.Name, Rows: j.Layer.Rows, Cols: j.Layer.Cols, Weights: w}
		want, err := Compress(layer, j.Level)
		if err != nil {
			t.Fatal(err)
		}
		got, info, err := db.Load(j.Layer.Key(j.Level))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s at %s is not loaded as it was made", layer.Name, j.Level)
		}
		if described := Describe(layer, j.Level, want); !sameInfo(info, described) {
			t.Errorf("loaded %+v, want %+v", info, described)
		}
		if again, _, err := db.Load(j.Layer.Key(j.Level)); err != nil || again != got {
			t.Errorf("a second Load gives another matrix: %v", err)
		}
		sum += info.Bytes
	}
	if size != sum {
		t.Errorf("progress counted %d bytes of %d", size, sum)
	}
	if files, damaged, err := Verify(dir); err != nil || damaged != nil || files != len(jobs) {
		t.Errorf("Verify finds %d files, %v, %v", files, damaged, err)
	}

	for len(loads) > 0 {
		<-loads
	}
	if err := Build(t.Context(), dir, jobs, 2, time.Now, nil); err != nil || len(loads) != 0 {
		t.Errorf("a second Build loads %d layers, %v", len(loads), err)
	}
}

func TestBuildIsDeterministic(t *testing.T) {
	var want map[string]string
	for _, workers := range []int{1, 2, 7} {
		dir := t.TempDir()
		jobs, _ := testJobs(t)
		if err := Build(t.Context(), dir, jobs, workers, time.Now, nil); err != nil {
			t.Fatal(err)
		}
		got := readFolder(t, dir)
		if want == nil {
			want = got
		}
		if len(got) != len(jobs) || !reflect.DeepEqual(got, want) {
			t.Errorf("%d workers make %d other files", workers, len(got))
		}
	}
}

func TestBuildStops(t *testing.T) {
	dir := t.TempDir()
	jobs, _ := testJobs(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := Build(ctx, dir, jobs, 2, time.Now, func(done, _ int, _ int64) {
		if done == 5 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled Build returns %v", err)
	}
	if files, damaged, err := Verify(dir); err != nil || damaged != nil || files < 5 || files > 7 {
		t.Errorf("%d files after 5 jobs and 2 workers, %v, %v", files, damaged, err)
	}
}

// A process is killed in the middle of Build; the next Build ends with the files of one that was never killed.
func TestBuildSurvivesKill(t *testing.T) {
	const folder = "FINCH_TEST_BUILD_FOLDER"
	jobs, loads := testJobs(t)
	if dir := os.Getenv(folder); dir != "" {
		Build(context.Background(), dir, jobs, 2, time.Now, func(done, _ int, _ int64) {
			if done == 11 {
				self, _ := os.FindProcess(os.Getpid())
				self.Kill()
				time.Sleep(time.Minute)
			}
		})
		return
	}
	dir, whole := t.TempDir(), t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestBuildSurvivesKill$")
	child.Env = append(os.Environ(), folder+"="+dir)
	if err := child.Run(); err == nil {
		t.Fatal("the child was not killed")
	}
	if files, damaged, err := Verify(dir); err != nil || damaged != nil || files < 11 || files == len(jobs) {
		t.Fatalf("%d files after the kill, %v, %v", files, damaged, err)
	}
	for _, d := range []string{dir, whole} {
		if err := Build(t.Context(), d, jobs, 2, time.Now, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(readFolder(t, dir), readFolder(t, whole)) {
		t.Error("the files differ from those of a Build that was not killed")
	}
	if len(loads) >= 12 {
		t.Errorf("%d layers were loaded for two builds of 6: nothing was resumed", len(loads))
	}
}

func TestBuildReportsFailures(t *testing.T) {
	jobs, _ := testJobs(t)
	failing := jobs[20]
	failing.Layer.Name, failing.Layer.Load = "blk.9.attn_v", func() ([]float32, error) { return nil, fs.ErrPermission }
	short := jobs[20]
	short.Layer.Name, short.Layer.Load = "blk.9.attn_k", func() ([]float32, error) { return make([]float32, 3), nil }
	gate := Job{jobs[0].Layer, Drop}
	nameless := jobs[20]
	nameless.Layer.Name = "\xff"
	for message, bad := range map[string]Job{
		"load blk.9.attn_v":              failing,
		"compress blk.9.attn_k to q4_k:": short,
		`level "drop" stores nothing`:    gate,
		"not UTF-8":                      nameless,
	} {
		err := Build(t.Context(), t.TempDir(), append(jobs[:3:3], bad), 2, time.Now, nil)
		if err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("error %v does not say %q", err, message)
		}
	}
}

func TestDamagedFiles(t *testing.T) {
	jobs, _ := testJobs(t)
	pristine := t.TempDir()
	if err := Build(t.Context(), pristine, jobs, 2, time.Now, nil); err != nil {
		t.Fatal(err)
	}
	dense, sparse := jobs[1].Layer.Key(jobs[1].Level), jobs[5].Layer.Key(jobs[5].Level)
	cut := func(n int) func([]byte) []byte { return func(d []byte) []byte { return d[:n] } }
	flip := func(at int) func([]byte) []byte {
		return func(d []byte) []byte { // negative: from the end
			if at < 0 {
				at += len(d)
			}
			d[at] ^= 1
			return d
		}
	}
	tests := []struct {
		name    string
		key     Key
		damage  func([]byte) []byte
		loads   bool // only a checksum shows the damage
		rebuilt bool
	}{
		{"empty", dense, cut(0), false, true},
		{"cut in the preamble", dense, cut(10), false, true},
		{"cut in the header", dense, cut(100), false, true},
		{"cut in the payload", dense, cut(500), false, true},
		{"trailing bytes", dense, func(d []byte) []byte { return append(d, 0) }, false, true},
		{"magic", dense, flip(0), false, true},
		{"version", dense, flip(8), false, true},
		{"header length", dense, flip(12), false, true},
		{"header checksum", dense, flip(16), false, true},
		{"header", dense, flip(60), false, true},
		{"blocks", dense, flip(-1), true, false},
		{"mask", sparse, flip(-1), false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(pristine)); err != nil {
				t.Fatal(err)
			}
			path := levelPath(dir, test.key)
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, test.damage(bytes.Clone(whole)), 0o666); err != nil {
				t.Fatal(err)
			}

			files, damaged, err := Verify(dir)
			if err != nil || files != len(jobs) || len(damaged) != 1 || damaged[0].Path != path || !strings.Contains(damaged[0].Error(), path) {
				t.Errorf("Verify finds %d files, %v damaged, %v", files, damaged, err)
			}
			if levels, unreadable, err := List(dir); err != nil || len(levels)+len(unreadable) != len(jobs) {
				t.Errorf("List gives %d levels and %v, %v", len(levels), unreadable, err)
			}
			db, err := OpenDatabase(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, _, err := db.Load(test.key); (err == nil) != test.loads {
				t.Errorf("Load gives %v", err)
			}
			if Built(dir, test.key) == test.rebuilt {
				t.Errorf("Built does not agree with Build, which makes the file again: %t", test.rebuilt)
			}
			if err := Build(t.Context(), dir, jobs, 1, time.Now, nil); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || bytes.Equal(got, whole) != test.rebuilt {
				t.Errorf("rebuilt: %t, %v", bytes.Equal(got, whole), err)
			}
			if err := Remove(damaged); err != nil {
				t.Fatal(err)
			}
			if err := Build(t.Context(), dir, jobs, 1, time.Now, nil); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, whole) {
				t.Errorf("not rebuilt after it was removed: %v", err)
			}
		})
	}
}

func TestRenamedFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	jobs, _ := testJobs(t)
	if err := Build(t.Context(), dir, jobs[:1], 1, time.Now, nil); err != nil {
		t.Fatal(err)
	}
	other := jobs[1].Layer.Key(jobs[1].Level)
	if err := os.Rename(levelPath(dir, jobs[0].Layer.Key(jobs[0].Level)), levelPath(dir, other)); err != nil {
		t.Fatal(err)
	}
	db, err := OpenDatabase(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, _, err := db.Load(other); err == nil || !strings.Contains(err.Error(), "not the key") {
		t.Errorf("Load gives %v", err)
	}
	if levels, damaged, err := List(dir); err != nil || len(levels) != 0 || len(damaged) != 1 || damaged[0].Path != levelPath(dir, other) {
		t.Errorf("List gives %v and, damaged, %v, %v", levels, damaged, err)
	}
}

func TestLoadOfMissingLevel(t *testing.T) {
	db, err := OpenDatabase(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	source := testSource("blk.0.attn_q", 1, 1, []float32{1})
	if _, _, err := db.Load(source.Key(SparseZeros(0, kernels.BF16))); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "'finch run'") {
		t.Errorf("Load gives %v", err)
	}
}

func TestKeysDiffer(t *testing.T) {
	a := testSource("blk.0.attn_q", 2, 4, make([]float32, 8))
	reshaped := testSource("blk.0.attn_q", 4, 2, make([]float32, 8))
	renamed := testSource("blk.1.attn_q", 2, 4, make([]float32, 8))
	retyped := a
	retyped.Hash = HashWeights("bf16", 2, 4, make([]byte, 32))
	seen := map[Key]bool{}
	for _, s := range []Source{a, reshaped, renamed, retyped} {
		for _, l := range []Level{SparseZeros(1, kernels.BF16), SparseZeros(1, kernels.F16), SparseZeros(2, kernels.BF16)} {
			seen[s.Key(l)] = true
		}
	}
	if len(seen) != 12 {
		t.Errorf("12 levels have %d keys", len(seen))
	}
}
