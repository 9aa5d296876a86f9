package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/damaged"
)

// What llama-gguf-split has split (tools/golden/split_files.py) is the whole again, whichever part is opened.
func TestOpenParts(t *testing.T) {
	want, err := os.ReadFile("testdata/split.gguf")
	if err != nil {
		t.Fatal(err)
	}
	for part := 1; part <= 3; part++ {
		f, err := Open(fmt.Sprintf("testdata/split-%05d-of-00003.gguf", part))
		if err != nil {
			t.Fatal(err)
		}
		if got := rewrite(t, f); !bytes.Equal(got, want) {
			t.Errorf("by part %d: another file than the one that was split", part)
		}
		if _, ok := f.Get(splitCountKey); ok {
			t.Errorf("by part %d: the keys of the split are still there", part)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPartNames(t *testing.T) {
	for name, want := range map[string][]string{
		"a/m-00002-of-00002.gguf": {"a/m-00001-of-00002.gguf", "a/m-00002-of-00002.gguf"},
		"-00001-of-00001.gguf":    {"-00001-of-00001.gguf"},
		"m-00003-of-00002.gguf":   {"m-00003-of-00002.gguf"},
		"m-00000-of-00002.gguf":   {"m-00000-of-00002.gguf"},
		"m-0001-of-00002.gguf":    {"m-0001-of-00002.gguf"},
		"m-+0001-of-00002.gguf":   {"m-+0001-of-00002.gguf"},
		"m-00001-of-00002.bin":    {"m-00001-of-00002.bin"},
		"m.gguf":                  {"m.gguf"},
		"":                        {""},
	} {
		if got := Parts(name); !slices.Equal(got, want) {
			t.Errorf("%q: %q", name, got)
		}
	}
}

// splitPart is a small file with some keys of a split and some tensors.
func splitPart(t testing.TB, keys []KV, tensors ...string) []byte {
	t.Helper()
	h := Header{Meta: append([]KV{{"general.architecture", ValueOf("llama")}}, keys...)}
	for _, name := range tensors {
		h.Tensors = append(h.Tensors, TensorSpec{name, []uint64{1}, F32})
	}
	var b bytes.Buffer
	if err := Write(&b, h, func(i int, w io.Writer) error { _, err := w.Write([]byte(h.Tensors[i].Name + "....")[:4]); return err }); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func splitKeys(no, count, tensors int) []KV {
	return []KV{{splitNoKey, ValueOf(uint16(no))}, {splitCountKey, ValueOf(uint16(count))}, {splitTensorsKey, ValueOf(int32(tensors))}}
}

func TestBadParts(t *testing.T) {
	const first, second = "m-00001-of-00002.gguf", "m-00002-of-00002.gguf"
	one, two := splitPart(t, splitKeys(0, 2, 3), "a", "b"), splitPart(t, splitKeys(1, 2, 3), "c")
	for name, c := range map[string]struct {
		open  string
		files map[string][]byte
		want  string
	}{
		"renamed":            {"m.gguf", map[string][]byte{"m.gguf": two}, `it is part 2 of 2 of a split model, whose name has to end in "-00002-of-00002.gguf"`},
		"of another count":   {first, map[string][]byte{first: splitPart(t, splitKeys(0, 3, 3), "a")}, `has to end in "-00001-of-00003.gguf"`},
		"of another number":  {first, map[string][]byte{first: two, second: one}, `has to end in "-00002-of-00002.gguf"`},
		"missing":            {first, map[string][]byte{first: one}, "part 2 of 2 of the model is missing"},
		"first is missing":   {second, map[string][]byte{second: two}, "part 1 of 2 of the model is missing"},
		"the same twice":     {first, map[string][]byte{first: one, second: one}, second + ": it says that it is part 1, its name that it is part 2"},
		"whole":              {first, map[string][]byte{first: one, second: splitPart(t, nil, "c")}, second + " is no part of a split model"},
		"of another model":   {first, map[string][]byte{first: one, second: splitPart(t, splitKeys(1, 2, 4), "c")}, "one of 2 parts with 4 tensors"},
		"the same tensor":    {first, map[string][]byte{first: one, second: splitPart(t, splitKeys(1, 2, 3), "a")}, second + `: tensor "a" is in an earlier part too`},
		"a tensor too few":   {first, map[string][]byte{first: splitPart(t, splitKeys(0, 2, 3), "a"), second: two}, "have 2 tensors, split.tensors.count says 3"},
		"damaged":            {first, map[string][]byte{first: one, second: two[:40]}, second + ": "},
		"no number":          {first, map[string][]byte{first: splitPart(t, splitKeys(0, 2, 3)[1:], "a")}, "split.no is missing"},
		"number too large":   {first, map[string][]byte{first: splitPart(t, splitKeys(2, 2, 3), "a")}, "split.no is missing or not from 0 to 1"},
		"no tensor count":    {first, map[string][]byte{first: splitPart(t, splitKeys(0, 2, 3)[:2], "a")}, "split.tensors.count is missing"},
		"count is a text":    {first, map[string][]byte{first: splitPart(t, []KV{{splitCountKey, ValueOf("2")}}, "a")}, "split.count is no number of files"},
		"count is too large": {first, map[string][]byte{first: splitPart(t, []KV{{splitCountKey, ValueOf(uint32(1 << 16))}}, "a")}, "split.count is no number of files"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, data := range c.files {
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			f, err := Open(filepath.Join(dir, c.open))
			if err == nil {
				f.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if missing := strings.Contains(name, "missing"); errors.Is(err, fs.ErrNotExist) != missing {
				t.Errorf("not there: %v, of %v", !missing, err)
			}
		})
	}
}

// A file that was merged again says that it has no parts.
func TestMergedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "merged.gguf")
	if err := os.WriteFile(path, splitPart(t, splitKeys(0, 0, 1), "a"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Meta) != 1 || f.Meta[0].Key != "general.architecture" {
		t.Errorf("keys %v", f.Meta)
	}
}

// FuzzParts: two files that are taken for the parts of a model are an error or a whole model.
func FuzzParts(f *testing.F) {
	one, two := splitPart(f, splitKeys(0, 2, 3), "a", "b"), splitPart(f, splitKeys(1, 2, 3), "c")
	f.Add(one, two)
	f.Add(two, one)
	f.Add(one, splitPart(f, nil, "c"))
	f.Add(one, splitPart(f, splitKeys(1, 2, 3), "a"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		a, err := Parse(first, "a")
		if err != nil {
			return
		}
		b, err := Parse(second, "b")
		if err != nil {
			return
		}
		var whole *File
		if n := damaged.Allocated(func() { whole, err = join([]*File{a, b}) }); n > uint64(4*(len(first)+len(second))+16<<20) {
			t.Fatalf("allocated %d bytes for files of %d and %d", n, len(first), len(second))
		}
		if err != nil {
			return
		}
		if len(whole.Tensors) != len(a.Tensors)+len(b.Tensors) {
			t.Fatalf("%d tensors of %d and %d", len(whole.Tensors), len(a.Tensors), len(b.Tensors))
		}
		for _, want := range slices.Concat(a.Tensors, b.Tensors) {
			if got, ok := whole.Tensor(want.Name); !ok || !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("tensor %q is not found", want.Name)
			}
		}
	})
}
