package kernels

/*
#include "kernels.h"
*/
import "C"

// CodeBook is what an IQ format of two or three bits takes its weights from, eight or four at a time.
type CodeBook struct {
	Values  []float32 // the magnitudes, ascending
	Entries [][]byte  // for each entry, which of Values its weights are
}

// CodeBook is that of iq2_xxs, iq2_xs, iq2_s, iq3_xxs and iq3_s; the other formats have none of this kind. Values are shared:
// they must not be written to.
func (f Format) CodeBook() (book CodeBook, ok bool) {
	switch f {
	case IQ2_XXS:
		return bookOf(iq2Values[:], 8, C.iq2_xxs_grid[:]), true
	case IQ2_XS:
		return bookOf(iq2Values[:], 8, C.iq2_xs_grid[:]), true
	case IQ2_S:
		return bookOf(iq2Values[:], 8, C.iq2_s_grid[:]), true
	case IQ3_XXS:
		return bookOf(iq3XXSValues[:], 4, C.iq3_xxs_grid[:]), true
	case IQ3_S:
		return bookOf(iq3SValues[:], 4, C.iq3_s_grid[:]), true
	}
	return CodeBook{}, false
}

// bookOf takes the 16 bits of each entry apart: indices of 2 bits for eight weights, of 4 bits for four.
func bookOf(values []float32, width int, grid []C.uint16_t) CodeBook {
	book := CodeBook{Values: values, Entries: make([][]byte, len(grid))}
	bits := 16 / width
	for e, packed := range grid {
		book.Entries[e] = make([]byte, width)
		for i := range width {
			book.Entries[e][i] = byte(packed >> (bits * i) & (1<<bits - 1))
		}
	}
	return book
}
