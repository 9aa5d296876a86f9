package kernels

import "testing"

// Every entry of a code book is what a block that names it unpacks to.
func TestCodeBook(t *testing.T) {
	for _, c := range []struct {
		format         Format
		entries, width int
		high           int     // byte of the block that holds what a byte of the index does not
		scale          float32 // of a block with d = 1 and zeros
	}{
		{IQ2_XXS, 256, 8, 0, 1. / 8},
		{IQ2_XS, 512, 8, 3, 1. / 8},
		{IQ2_S, 1024, 8, 66, 1. / 8},
		{IQ3_XXS, 256, 4, 0, 1. / 4},
		{IQ3_S, 512, 4, 66, 1},
	} {
		t.Run(c.format.String(), func(t *testing.T) {
			book, ok := c.format.CodeBook()
			if !ok || len(book.Entries) != c.entries {
				t.Fatalf("%d entries, want %d", len(book.Entries), c.entries)
			}
			block, decoded := make([]byte, c.format.BlockBytes()), make([]float32, c.format.BlockWeights())
			block[1] = 0x3c // d = 1
			for e, entry := range book.Entries {
				block[2] = byte(e)
				if c.high != 0 {
					block[c.high] = byte(e >> 8)
				}
				UnpackBlocks(decoded, c.format, block)
				if len(entry) != c.width {
					t.Fatalf("entry %d has %d weights, want %d", e, len(entry), c.width)
				}
				for i, v := range entry {
					if want := c.scale * book.Values[v]; decoded[i] != want {
						t.Fatalf("weight %d of entry %d is %g, want %g", i, e, decoded[i], want)
					}
				}
			}
		})
	}
	if _, ok := IQ4_NL.CodeBook(); ok {
		t.Error("iq4_nl has a code book of vectors")
	}
}
