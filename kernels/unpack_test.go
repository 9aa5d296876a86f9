package kernels

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// The golden files come from tools/golden/blocks.py: 1024 weights' blocks, then the weights that gguf reads from them.
func TestUnpackBlocksMatchesGGUF(t *testing.T) {
	const weights = 1024
	for f := range firstInt {
		t.Run(f.String(), func(t *testing.T) {
			golden, err := os.ReadFile(filepath.Join("testdata", f.String()+".bin"))
			if err != nil {
				t.Fatal(err)
			}
			size := f.RowBytes(weights)
			if len(golden) != size+4*weights {
				t.Fatalf("golden file has %d bytes, want %d", len(golden), size+4*weights)
			}
			got := make([]float32, weights)
			UnpackBlocks(got, f, golden[:size])
			for i, g := range got {
				want := binary.LittleEndian.Uint32(golden[size+4*i:])
				if math.Float32bits(g) != want {
					t.Fatalf("weight %d is %g (%08x), gguf reads %08x", i, g, math.Float32bits(g), want)
				}
			}
		})
	}
}
