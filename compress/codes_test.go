package compress

import (
	"bytes"
	"math"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

// Codes that are read from a block and written again leave the block as it was, and others come back from it: in both, the
// weights are what the kernels read.
func TestCodeLayouts(t *testing.T) {
	for _, f := range kernels.Formats() {
		layout, ok := codeLayoutOf(f)
		if !ok {
			continue
		}
		t.Run(f.String(), func(t *testing.T) {
			n := f.BlockWeights()
			words := splitmix(uint64(f), f.BlockBytes()+n)
			block := make([]byte, f.BlockBytes())
			for i := range block {
				block[i] = byte(words[i]) &^ 0x40 // no half is infinite
			}
			if Encodes(f) {
				block = encode(f, testWeights("heavy", 1, n))
			}
			codes := make([]byte, n)
			layout.get(codes, block)
			again := bytes.Clone(block)
			layout.put(again, codes)
			if !bytes.Equal(again, block) {
				t.Errorf("the block %x becomes %x", block, again)
			}

			low, step, got := make([]float32, n), make([]float32, n), make([]float32, n)
			layout.grid(low, step, block)
			for i := range codes {
				codes[i] = byte(words[len(block)+i] % uint64(layout.top+1))
			}
			layout.put(block, codes)
			read := make([]byte, n)
			layout.get(read, block)
			if !bytes.Equal(read, codes) {
				t.Errorf("codes %v come back as %v", codes, read)
			}
			kernels.UnpackBlocks(got, f, block)
			for i, q := range codes {
				want := float64(low[i]) + float64(q)*float64(step[i])
				if layout.nonlinear {
					want = float64(step[i]) / 16 * grid4[q]
				}
				tolerance := 1e-5 * math.Abs(float64(step[i]))
				if math.Abs(float64(got[i])-want) > tolerance {
					t.Fatalf("weight %d of code %d is %g, want %g", i, q, got[i], want)
				}
				code, w := layout.nearest(want, float64(low[i]), float64(step[i]))
				if step[i] != 0 && code != q || math.Abs(w-want) > tolerance {
					t.Fatalf("the nearest code to %g is %d with %g, want %d", want, code, w, q)
				}
			}
		})
	}
}
