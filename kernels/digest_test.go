package kernels

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// digested is a computation whose result has a line in testdata/digests.txt.
type digested struct {
	name   string
	values func(rng *rand.Rand, w *Worker) []float32
}

// TestDigests compares hashes of results with stored ones: one for every path that has fused multiply-adds, which must
// therefore agree with each other bit by bit, and one for portable, which must be the same on every architecture.
// Where a change of the results is meant, what the test prints is to be stored.
func TestDigests(t *testing.T) {
	want := readDigests(t)
	eachPath(t, func(t *testing.T, p *Path) {
		column := 0
		switch p.Name() {
		case "avx512bf16":
			t.Skip("no other path rounds to bf16; the rest of it is avx512")
		case "portable":
			column = 1
		}
		for _, d := range digestedResults() {
			got := digest(d.values(rand.New(rand.NewPCG(30, 0)), p.NewWorker()))
			if w := want[d.name][column]; got != w {
				t.Errorf("the digest of %s is %s, stored is %q", d.name, got, w)
			}
		}
	})
}

func digestedResults() []digested {
	all := []digested{
		product("f32 1x1x1", F32, 1, 1, 1, 1), product("f32 13x33x17", F32, 13, 33, 17, 1),
		product("f32 5x33x2100", F32, 5, 33, 2100, 1), product("q8_0 sparse 7x5x333", Q8_0, 7, 5, 333, 0.3),
		{"MatMul denormals", func(rng *rand.Rand, w *Worker) []float32 {
			dst, x, weights := make([]float32, 7*20), normals(rng, 7*50), normals(rng, 20*50)
			for i := range x {
				x[i] *= 0x1p-126
			}
			w.MatMul(dst, x, 7, f32Matrix(weights, 20, 50))
			return dst
		}},
		{"Attention", func(rng *rand.Rand, w *Worker) []float32 {
			a := AttentionShape{Tokens: 20, Keys: 37, Heads: 4, KVHeads: 2, HeadDim: 24, Scale: 0.9}
			q := normals(rng, a.Tokens*a.Heads*a.HeadDim)
			k, v := normals(rng, a.Keys*a.KVHeads*a.HeadDim), normals(rng, a.Keys*a.KVHeads*a.HeadDim)
			dst := make([]float32, len(q))
			w.Attention(dst, q, k, v, a)
			return dst
		}},
		{"Attention window softcap", func(rng *rand.Rand, w *Worker) []float32 {
			a := AttentionShape{Tokens: 20, Keys: 37, Heads: 4, KVHeads: 2, HeadDim: 24, Scale: 0.9, Window: 15, Softcap: 3}
			q := normals(rng, a.Tokens*a.Heads*a.HeadDim)
			k, v := normals(rng, a.Keys*a.KVHeads*a.HeadDim), normals(rng, a.Keys*a.KVHeads*a.HeadDim)
			dst := make([]float32, len(q))
			w.Attention(dst, q, k, v, a)
			return dst
		}},
		{"RMSNorm", func(rng *rand.Rand, w *Worker) []float32 {
			x, weight := normals(rng, 3*333), normals(rng, 333)
			w.RMSNorm(x, x, weight, 3, 1e-5)
			return x
		}},
		{"Rope", func(rng *rand.Rand, w *Worker) []float32 {
			x, cos, sin := normals(rng, 5*3*26), normals(rng, 5*13), normals(rng, 5*13)
			w.Rope(x, 5, 3, 26, cos, sin, false)
			w.Rope(x, 5, 3, 26, cos, sin, true)
			return x
		}},
		{"SwiGLU", func(rng *rand.Rand, w *Worker) []float32 {
			gate, up := normals(rng, 3001), normals(rng, 3001)
			for i := range gate {
				gate[i] *= 30 // the whole range of the exponential, underflow included
			}
			w.SwiGLU(gate, gate, up)
			return gate
		}},
		{"LayerNorm", func(rng *rand.Rand, w *Worker) []float32 {
			x, weight, bias := normals(rng, 3*333), normals(rng, 333), normals(rng, 333)
			w.LayerNorm(x, x, weight, bias, 3, 1e-5)
			return x
		}},
		{"GELU", func(rng *rand.Rand, w *Worker) []float32 {
			x := normals(rng, 3001)
			for i := range x {
				x[i] *= 5 // into the underflow
			}
			w.GELU(x, x)
			return x
		}},
		{"GeGLU", func(rng *rand.Rand, w *Worker) []float32 {
			gate, up := normals(rng, 3001), normals(rng, 3001)
			for i := range gate {
				gate[i] *= 5
			}
			w.GeGLU(gate, gate, up)
			return gate
		}},
		{"Score", func(rng *rand.Rand, w *Worker) []float32 { return scores(rng, w, 0, 0) }},
		{"Score softcap", func(rng *rand.Rand, w *Worker) []float32 { return scores(rng, w, 1.5, 2) }},
		{"KL", divergences},
	}
	for _, f := range Formats() {
		all = append(all, product(f.String(), f, 13, 35, 512, 1), product(f.String()+" sparse", f, 13, 35, 512, 0.4))
	}
	return all
}

func product(name string, f Format, tokens, rows, cols int, density float64) digested {
	return digested{"MatMul " + name, func(rng *rand.Rand, w *Worker) []float32 {
		dst, x := make([]float32, tokens*rows), normals(rng, tokens*cols)
		w.MatMul(dst, x, tokens, randomMatrix(rng, f, rows, cols, density))
		return dst
	}}
}

// scores are rounded to float32, because their last step in Go, math.Log, has another last bit on another architecture.
func scores(rng *rand.Rand, w *Worker, softcap, teacherSoftcap float32) []float32 {
	const tokens, vocab, cols = 9, 700, 64
	student, dense := randomMatrix(rng, Q4_0, vocab, cols, 1), randomMatrix(rng, F16, vocab, cols, 1)
	targets := make([]int32, tokens)
	for i := range targets {
		targets[i] = int32(rng.IntN(vocab))
	}
	teacher := w.PrepareTeacher(normals(rng, tokens*cols), tokens, dense, teacherSoftcap, 20)
	out := make([]TokenScore, tokens)
	scoreOne(w, out, normals(rng, tokens*cols), ScoreInput{Tokens: tokens, Head: student, Softcap: softcap, Targets: targets, Teacher: &teacher})
	var values []float32
	for _, s := range out {
		values = append(values, float32(s.NLL), float32(s.KL), float32(s.TopKL), float32(s.Top))
	}
	return append(values, teacher.KthLogit...)
}

// divergences are in full precision. Lanes i and i + 8 of a vector are added first, so a student whose logits are the teacher's
// with those lanes exchanged has the same sum to the bit, and the logarithms cancel.
func divergences(rng *rand.Rand, w *Worker) []float32 {
	const tokens, vocab, cols = 9, 512, 8
	weights := normals(rng, vocab*cols)
	var exchanged []float32
	for at := 0; at < len(weights); at += 16 * cols {
		exchanged = append(append(exchanged, weights[at+8*cols:at+16*cols]...), weights[at:at+8*cols]...)
	}
	hidden := normals(rng, tokens*cols)
	teacher, out := w.PrepareTeacher(hidden, tokens, f32Matrix(weights, vocab, cols), 0, 0), make([]TokenScore, tokens)
	scoreOne(w, out, hidden, ScoreInput{Tokens: tokens, Head: f32Matrix(exchanged, vocab, cols), Targets: make([]int32, tokens), Teacher: &teacher})
	var values []float32
	for _, s := range out {
		bits := math.Float64bits(s.KL)
		values = append(values, math.Float32frombits(uint32(bits>>32)), math.Float32frombits(uint32(bits)))
	}
	return values
}

// digest is the beginning of the SHA-256 of the values' bits, little-endian.
func digest(values []float32) string {
	var data []byte
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))[:16]
}

// readDigests reads lines of a name and two digests: with fused multiply-adds, and portable.
func readDigests(t *testing.T) map[string][2]string {
	data, err := os.ReadFile("testdata/digests.txt")
	if err != nil {
		t.Fatal(err)
	}
	digests := make(map[string][2]string)
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		n := len(fields)
		digests[strings.Join(fields[:n-2], " ")] = [2]string{fields[n-2], fields[n-1]}
	}
	return digests
}
