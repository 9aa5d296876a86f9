package compress

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

// splitmix gives words 0…n−1 of the SplitMix64 sequence that starts at seed.
func splitmix(seed uint64, n int) []uint64 {
	words := make([]uint64, n)
	for i := range words {
		z := seed + 0x9E3779B97F4A7C15*uint64(i+1)
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		words[i] = z ^ z>>31
	}
	return words
}

// gaussian gives n nearly normal numbers, as tools/golden/quantize.py does: sums of twelve 16-bit uniforms, less 6.
func gaussian(seed uint64, n int) []float64 {
	words := splitmix(seed, 3*n)
	x := make([]float64, n)
	for i := range x {
		sum := 0
		for _, w := range words[3*i : 3*i+3] {
			sum += int(w&0xffff + w>>16&0xffff + w>>32&0xffff + w>>48)
		}
		x[i] = float64(sum-6*65536) / 65536
	}
	return x
}

// testWeights gives the sets "gaussian", "heavy" and "mixed" of tools/golden/quantize.py.
func testWeights(name string, rows, cols int) []float32 {
	n := rows * cols
	w := make([]float32, n)
	switch name {
	case "gaussian":
		for i, g := range gaussian(1, n) {
			w[i] = float32(0.02 * g)
		}
	case "heavy": // Student's t with four degrees of freedom
		a, b, c, d := gaussian(3, n), gaussian(4, n), gaussian(5, n), gaussian(6, n)
		for i, g := range gaussian(2, n) {
			sum := float64(a[i]*a[i]) + float64(b[i]*b[i]) + float64(c[i]*c[i]) + float64(d[i]*d[i])
			w[i] = float32(float64(0.02*g) / math.Sqrt(sum/4))
		}
	case "mixed": // zero, constant, outlier, positive, negative, tied and tiny rows
		for i, g := range gaussian(7, n) {
			v := 0.02 * g
			switch row := i / cols; {
			case row == 0:
				v = 0
			case row == 1:
				v = 0.75
			case row == 2:
				v = -0.3
			case row == 3 && i%256 == 0:
				v = 8
			case row == 4:
				v = math.Abs(v)
			case row == 5:
				v = -math.Abs(v)
			case row == 6 && v != 0:
				v = math.Copysign(0.0625, v)
			case row == 7:
				v *= 1e-5
			case row == 8:
				v *= 10
			}
			w[i] = float32(v)
		}
	}
	return w
}

func encode(f kernels.Format, w []float32) []byte {
	blocks := make([]byte, f.RowBytes(len(w)))
	EncodeBlocks(blocks, f, w, nil)
	return blocks
}

func relativeError(f kernels.Format, blocks []byte, w []float32) float64 {
	decoded := make([]float32, len(w))
	kernels.UnpackBlocks(decoded, f, blocks)
	var difference, energy float64
	for i, v := range w {
		d := float64(v) - float64(decoded[i])
		difference += d * d
		energy += float64(v) * float64(v)
	}
	return difference / energy
}

type golden struct {
	Name          string
	Rows, Cols    int
	WeightsSHA256 string `json:"weights_sha256"`
	Exact         map[string]struct{ SHA256, First string }
	Errors        map[string]float64
}

func readGolden(t *testing.T) []golden {
	t.Helper()
	data, err := os.ReadFile("testdata/quantize.json")
	if err != nil {
		t.Fatal(err)
	}
	var sets []golden
	if err := json.Unmarshal(data, &sets); err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		raw := new(bytes.Buffer)
		if err := binary.Write(raw, binary.LittleEndian, testWeights(set.Name, set.Rows, set.Cols)); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(raw.Bytes())); got != set.WeightsSHA256 {
			t.Fatalf("the %s weights differ from those of tools/golden/quantize.py", set.Name)
		}
	}
	return sets
}

// The formats without a search are encoded bit for bit as gguf.quants.quantize does.
func TestEncodeMatchesGGUF(t *testing.T) {
	for _, set := range readGolden(t) {
		w := testWeights(set.Name, set.Rows, set.Cols)
		for _, f := range kernels.Formats() {
			want, ok := set.Exact[f.String()]
			if !ok {
				continue
			}
			t.Run(set.Name+"/"+f.String(), func(t *testing.T) {
				got := encode(f, w)
				first := hex.EncodeToString(got[:4*f.BlockBytes()])
				if first != want.First {
					t.Errorf("first blocks\n%s, gguf writes\n%s", first, want.First)
				}
				if hash := fmt.Sprintf("%x", sha256.Sum256(got)); hash != want.SHA256 {
					t.Errorf("blocks differ from gguf's")
				}
			})
		}
	}
}

// The searched formats may not be worse than ggml's own quantizer by more than one per cent.
func TestEncodeErrorAgainstGGML(t *testing.T) {
	for _, set := range readGolden(t) {
		w := testWeights(set.Name, set.Rows, set.Cols)
		for _, f := range kernels.Formats() {
			want, ok := set.Errors[f.String()]
			if !ok {
				continue
			}
			t.Run(set.Name+"/"+f.String(), func(t *testing.T) {
				got := relativeError(f, encode(f, w), w)
				t.Logf("relative squared error %.5g, ggml's %.5g, ratio %.4f", got, want, got/want)
				if got > 1.01*want {
					t.Errorf("relative squared error %.5g, ggml's is %.5g", got, want)
				}
			})
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	w := testWeights("gaussian", 16, 1024)
	for _, f := range kernels.Formats() {
		if !Encodes(f) {
			continue
		}
		b.Run(f.String(), func(b *testing.B) {
			for b.Loop() {
				encode(f, w)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(w)), "ns/weight")
		})
	}
}
