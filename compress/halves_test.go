package compress

import (
	"math"
	"testing"
)

// Every pair of adjacent binary16 values: both are kept, what lies between goes to the nearer, the middle to the even one.
func TestHalfBitsRoundsToNearestEven(t *testing.T) {
	for h := range uint16(0x7c00) {
		low, high := halfValue(h), halfValue(h+1)
		if h == 0x7bff {
			high = 65536 // infinity begins where the next value would be
		}
		middle := low + (high-low)/2
		even := h + h&1
		cases := []struct {
			x    float32
			want uint16
		}{
			{low, h},
			{math.Nextafter32(middle, low), h},
			{middle, even},
			{math.Nextafter32(middle, high), h + 1},
		}
		for _, c := range cases {
			if got := halfBits(c.x); got != c.want {
				t.Fatalf("halfBits(%g) = %04x, want %04x", c.x, got, c.want)
			}
			if got := halfBits(-c.x); got != c.want|0x8000 {
				t.Fatalf("halfBits(%g) = %04x, want %04x", -c.x, got, c.want|0x8000)
			}
		}
	}
}

func TestBfloatBitsRoundsToNearestEven(t *testing.T) {
	for b := range uint16(0x7f80) {
		low := uint32(b) << 16
		for offset, want := range map[uint32]uint16{0: b, 0x7fff: b, 0x8000: b + b&1, 0x8001: b + 1} {
			x := math.Float32frombits(low + offset)
			if got := bfloatBits(x); got != want {
				t.Fatalf("bfloatBits(%g) = %04x, want %04x", x, got, want)
			}
			if got := bfloatBits(-x); got != want|0x8000 {
				t.Fatalf("bfloatBits(%g) = %04x, want %04x", -x, got, want|0x8000)
			}
		}
	}
}

func TestHalvesKeepSpecialValues(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	if halfBits(inf) != 0x7c00 || halfBits(-inf) != 0xfc00 || bfloatBits(inf) != 0x7f80 {
		t.Error("infinity is not kept")
	}
	if !math.IsNaN(float64(halfValue(halfBits(nan)))) || bfloatBits(nan)&0x7fff <= 0x7f80 {
		t.Error("NaN is not kept")
	}
	if halfBits(math.Float32frombits(1)) != 0 || halfBits(65519.996) != 0x7bff || halfBits(1e30) != 0x7c00 {
		t.Error("the ends of the range are wrong")
	}
}
