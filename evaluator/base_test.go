package evaluator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/safetensors"
)

// written is a base file of m on a corpus, and the scores of its positions.
func written(t testing.TB, m *model.Model, p *kernels.Path, c *Corpus) ([]byte, []kernels.TokenScore) {
	t.Helper()
	e, err := New(m, Options{Path: p, Workers: 2, Context: 64, NoTeacher: true})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	scores, err := e.WriteBase(context.Background(), &file, c, BaseInfo{
		Model: "base.gguf", ModelHash: "abc", Data: "text.txt", Context: 32, Stride: 4, Kernels: p.Name(), TextHash: "def",
	})
	if err != nil {
		t.Fatal(err)
	}
	return file.Bytes(), scores
}

func baseCorpus(t testing.TB) *Corpus {
	t.Helper()
	c, err := NewCorpus(testmodel.Tokens(2, 5*32, vocab), 5*32, 32, -1)
	if err != nil {
		t.Fatal(err)
	}
	c.From = 16
	return c
}

// TestBase compares with a base file what is compared with the model itself, bit for bit.
func TestBase(t *testing.T) {
	teacher, m := testmodel.Llama(7, 2, 32, 48, vocab), testmodel.Llama(1, 3, 64, 96, vocab)
	for _, p := range kernels.Paths() {
		c := baseCorpus(t)
		data, scores := written(t, teacher, p, c)
		path := filepath.Join(t.TempDir(), "base")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if !IsBase(path) {
			t.Errorf("%s is no base file", path)
		}
		base, err := OpenBase(path)
		if err != nil {
			t.Fatal(err)
		}
		want := BaseInfo{Model: "base.gguf", ModelHash: "abc", Data: "text.txt", Context: 32, Stride: 4, Kernels: p.Name(), TextHash: "def"}
		if base.BaseInfo != want || base.Corpus.From != c.From || base.Corpus.Sequence != c.Sequence || !slices.Equal(base.Corpus.Tokens, c.Tokens) {
			t.Errorf("%s: read back %+v", p.Name(), base.BaseInfo)
		}
		with := func(o Options, c *Corpus) []kernels.TokenScore {
			o.Path, o.Workers, o.Context = p, 2, 64
			got, err := newEngine(t, m, o).Positions(context.Background(), &m.Network, c)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got, want := with(Options{Base: base}, base.Corpus), with(Options{Teacher: teacher}, c); !slices.Equal(got, want) {
			t.Errorf("%s: other scores against the file than against the model", p.Name())
		} else {
			for i := range got {
				if got[i].TeacherNLL != scores[i].NLL || got[i].TeacherTop != scores[i].Top {
					t.Fatalf("%s: position %d of the base: %+v, when it was written %+v", p.Name(), i, got[i], scores[i])
				}
			}
		}
		e := newEngine(t, m, Options{Base: base, Path: p, Workers: 1, Context: 64})
		if _, err := e.Positions(context.Background(), &m.Network, c); err == nil {
			t.Errorf("%s: a base was compared with on another text", p.Name())
		}
		if err := base.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := New(testmodel.Llama(1, 1, 32, 32, vocab+1), Options{Path: kernels.Paths()[0], Base: &Base{head: teacher.Head}}); err == nil {
		t.Error("a model of another vocabulary may be compared")
	}
}

func TestDamagedBase(t *testing.T) {
	m := testmodel.Llama(7, 1, 32, 32, vocab)
	data, _ := written(t, m, kernels.Paths()[0], baseCorpus(t))
	if _, err := parseBase(data, "base"); err != nil {
		t.Fatal(err)
	}
	header := int(binary.LittleEndian.Uint64(data)) + 8
	for at := header; at < len(data); at += 97 {
		damaged := bytes.Clone(data)
		damaged[at] ^= 4
		if _, err := parseBase(damaged, "base"); err == nil || !strings.Contains(err.Error(), "checksum differs") {
			t.Fatalf("byte %d changed: %v", at, err)
		}
	}
	for _, n := range []int{0, 7, header, len(data) - 1} {
		if _, err := parseBase(data[:n], "base"); err == nil {
			t.Errorf("%d bytes of %d were read", n, len(data))
		}
	}
}

// TestWrongBase are files that hold together and are no bases.
func TestWrongBase(t *testing.T) {
	m := testmodel.Llama(7, 1, 32, 32, vocab)
	data, _ := written(t, m, kernels.Paths()[0], baseCorpus(t))
	for _, test := range []struct {
		name, says string
		change     func(h *safetensors.Header, data map[string][]byte)
	}{
		{"another format", "save-base", func(h *safetensors.Header, _ map[string][]byte) { h.Metadata["format"] = "finch" }},
		{"a later version", `"2"`, func(h *safetensors.Header, _ map[string][]byte) { h.Metadata["version"] = "2" }},
		{"no context", "context", func(h *safetensors.Header, _ map[string][]byte) { delete(h.Metadata, "context") }},
		{"no limit of logits", "softcap", func(h *safetensors.Header, _ map[string][]byte) { h.Metadata["softcap"] = "-1" }},
		{"a negative stride", "stride", func(h *safetensors.Header, _ map[string][]byte) { h.Metadata["stride"] = "-1" }},
		{"no tokens", "tokens", func(h *safetensors.Header, _ map[string][]byte) { h.Tensors[0].Name = "words" }},
		{"flat states", "three", func(h *safetensors.Header, _ map[string][]byte) { h.Tensors[1].Shape = []int{5 * 15, 32} }},
		{"other sequences", "do not belong", func(h *safetensors.Header, _ map[string][]byte) { h.Tensors[1].Shape = []int{3, 25, 32} }},
		{"more positions than tokens", "do not belong", func(h *safetensors.Header, _ map[string][]byte) { h.Tensors[1].Shape = []int{5, 480, 1} }},
		{"another width", "head", func(h *safetensors.Header, _ map[string][]byte) { h.Tensors[1].Shape = []int{5, 30, 16} }},
		{"no head", "head", func(h *safetensors.Header, _ map[string][]byte) { h.Tensors[3].Name = "rest" }},
		{"a foreign token", "vocabulary", func(_ *safetensors.Header, data map[string][]byte) { data["tokens"][1] = 1 }},
		{"no checksum", "checksum", func(h *safetensors.Header, _ map[string][]byte) { h.Tensors[2].Name = "sum" }},
		{"a checksum in the middle", "checksum", func(h *safetensors.Header, data map[string][]byte) {
			h.Tensors = append(h.Tensors, safetensors.TensorSpec{Name: "z", DType: safetensors.U8, Shape: []int{1}})
			data["z"] = []byte{0}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseBase(rewritten(t, data, test.change), "base")
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
	if _, err := parseBase(rewritten(t, data, func(*safetensors.Header, map[string][]byte) {}), "base"); err != nil {
		t.Errorf("nothing changed: %v", err)
	}
}

// rewritten changes a base file and gives it the checksum that it then has, if it still has one at its end.
func rewritten(t testing.TB, base []byte, change func(*safetensors.Header, map[string][]byte)) []byte {
	t.Helper()
	f, err := safetensors.Parse(base, "base")
	if err != nil {
		t.Fatal(err)
	}
	h, data := safetensors.Header{Metadata: f.Metadata}, map[string][]byte{}
	for _, name := range []string{"tokens", "hidden", "sha256", "output.f32"} {
		tensor, ok := f.Tensor(name)
		if !ok {
			t.Fatalf("no tensor %s", name)
		}
		h.Tensors = append(h.Tensors, safetensors.TensorSpec{Name: name, DType: tensor.DType, Shape: tensor.Shape})
		data[name] = bytes.Clone(tensor.Data)
	}
	names := []string{"tokens", "hidden", "sha256", "output.f32", "z"}
	change(&h, data)
	var out bytes.Buffer
	err = safetensors.Write(&out, h, func(i int, w io.Writer) error {
		_, err := w.Write(data[names[i]])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(out.Bytes()[:out.Len()-32])
	copy(out.Bytes()[out.Len()-32:], sum[:])
	return out.Bytes()
}

func FuzzBase(f *testing.F) {
	m := testmodel.Llama(7, 1, 8, 8, 3)
	c, err := NewCorpus([]int32{0, 1, 2, 1, 0, 2}, 6, 3, -1)
	if err != nil {
		f.Fatal(err)
	}
	data, _ := written(f, m, kernels.Paths()[0], c)
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		// The checksum is made to fit, as it would keep everything after it from being reached.
		if f, err := safetensors.Parse(data, "base"); err == nil {
			if sum, ok := f.Tensor(baseSum); ok && len(sum.Data) == 32 && len(data) >= 32 {
				is := sha256.Sum256(data[:len(data)-32])
				data = append(bytes.Clone(data[:len(data)-32]), is[:]...)
			}
		}
		b, err := parseBase(data, "base")
		if err != nil {
			return
		}
		for i := range b.Corpus.Len() {
			if len(b.of(i)) != b.Corpus.positions()*b.head.Cols {
				t.Fatalf("sequence %d has %d states", i, len(b.of(i)))
			}
		}
	})
}
