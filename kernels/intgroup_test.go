package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

func TestIntGroupFormats(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Formats() {
		g, ok := f.IntGroup()
		if !ok {
			continue
		}
		seen[f.String()] = true
		if back, err := ParseFormat(f.String()); g.Format() != f || err != nil || back != f {
			t.Errorf("%v is %+v, which is %v and parsed as %v, %v", f, g, g.Format(), back, err)
		}
		header := 3
		if g.Symmetric {
			header = 2
		}
		if f.BlockWeights() != g.Group || f.BlockBytes() != header+g.Group*g.Bits/8 {
			t.Errorf("%v has blocks of %d weights in %d bytes", f, f.BlockWeights(), f.BlockBytes())
		}
	}
	for _, name := range []string{"int2-g32", "int3-g64", "int5-g128-sym", "int8-g128"} {
		if !seen[name] {
			t.Errorf("%s is no format", name)
		}
	}
	if len(seen) != 7*3*2 {
		t.Errorf("%d formats", len(seen))
	}
	for _, name := range []string{"int1-g64", "int9-g64", "int3-g16", "int3-g64-asym", "int3"} {
		if f, err := ParseFormat(name); err == nil {
			t.Errorf("%s is parsed as %v", name, f)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("groups of 48 have a format")
		}
	}()
	IntGroup{3, 48, false}.Format()
}

// Bit k of the code of weight i lies in the plane that holds bit k, the planes being 8, 4, 2 and 1 bits wide from the top.
func TestIntGroupLayout(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	for f := firstInt; f < numFormats; f++ {
		g, _ := f.IntGroup()
		block := make([]byte, f.BlockBytes())
		scale, zero := float32(-0.0625), 1<<(g.Bits-1)
		binary.LittleEndian.PutUint16(block, 0xac00) // −2⁻⁴
		planes := block[2:]
		if !g.Symmetric {
			zero = rng.IntN(256)
			block[2] = byte(zero)
			planes = block[3:]
		}
		want := make([]float32, g.Group)
		for i := range want {
			q := rng.IntN(1 << g.Bits)
			want[i] = scale * float32(q-zero)
			at := 0 // the first byte of the plane
			top := g.Bits
			for _, width := range []int{8, 4, 2, 1} {
				if g.Bits&width == 0 {
					continue
				}
				top -= width
				n := g.Group * width / 8
				planes[at+i%n] |= byte(q>>top&(1<<width-1)) << (i / n * width)
				at += n
			}
		}
		got := make([]float32, g.Group)
		UnpackBlocks(got, f, block)
		sameBits(t, f.String(), got, want)
	}
}

// Scales of any size come through the multiply, and do not leave their row.
func TestMatMulExtremeScales(t *testing.T) {
	scales := []uint16{0x0001, 0x83ff, 0x7bff, 0x0000, 0x7c00, 0xfc00, 0x7e00} // subnormal, largest, zero, infinite, NaN
	eachPath(t, func(t *testing.T, p *Path) {
		for _, f := range Formats() {
			if _, ok := scaleOffsets[f]; !ok && f < firstInt {
				continue // no f16 scale
			}
			t.Run(f.String(), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(2, uint64(f)))
				m := randomMatrix(rng, f, len(scales)+1, f.BlockWeights(), 1)
				for r, h := range scales {
					setScales(m.Data[r*f.BlockBytes():][:f.BlockBytes()], f, h)
				}
				got := checkMatMul(t, p, normals(rng, m.Cols), 1, m)
				for r, h := range scales {
					if finite := !math.IsNaN(float64(got[r])) && !math.IsInf(float64(got[r]), 0); finite != (math.Abs(float64(half(binary.LittleEndian.AppendUint16(nil, h)))) <= 65504) {
						t.Errorf("a scale of %04x gives %g", h, got[r])
					}
				}
			})
		}
	})
}
