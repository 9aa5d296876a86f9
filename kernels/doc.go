// Package kernels holds the hot loops: matrix multiply from stored weights, attention, the small functions between them,
// and a scoring head that never holds tokens × vocabulary logits. They are C behind cgo, chosen at run time for the CPU;
// beside them UnpackBlocks and Unpack are plain Go, and the oracle for what the C reads from stored blocks.
//
// # Paths
//
// A Path is an instruction set and a precision:
//
//	avx512bf16  matrix multiply with x and W rounded to bf16 (nearest even) and fp32 sums; the rest is avx512
//	avx512      fp32 with AVX-512
//	avx2        fp32 with AVX2 and FMA
//	neon        fp32 with NEON, on every arm64
//	portable    fp32 in plain C, on every architecture
//
// All but the first multiply exactly what is stored; avx512, avx2 and neon give the same bits everywhere, portable differs
// from them by the rounding that a fused multiply-add saves, and is itself the same on every architecture. Only the last bits
// of Score may differ between architectures, whose math.Log differ. bf16 rounding costs a relative 2⁻⁹ per factor, takes denormals for zero,
// and turns values above 3.39e38 into infinity. Attention, softmax, norms and the head's sums are at least fp32 on all paths.
//
// # Order of summation
//
// Every output of MatMul is one chain over the columns in order (in pairs for bf16), whatever the number of tokens, their
// place in the batch, or the tiles: dst[t][n] depends on row t of x and row n of W alone, bit for bit. Attention likewise:
// a query's result depends on its position and window, not on the queries beside it. Score adds over the vocabulary in blocks of
// fixed size, in sixteen float64 lanes that are then added pairwise. Other reductions use the same sixteen lanes. So a
// sequence scores the same alone and in company, and a prefix computed earlier can be reused.
//
// # Matrix multiply
//
// For each panel of rows, W is unpacked from its blocks once per call, packed [columns][rows of the panel] and multiplied with
// all tokens, tile by tile, with the tile's sums in registers (12 × 32 with AVX-512, 6 × 16 with AVX2 and NEON). The design is
// that of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34(3), 2008.
//
// Functions check shapes and panic where they do not fit: that is an error of the program. They do not check values:
// NaN and infinity come out as NaN or infinity, but a soft cap takes infinity for the largest value.
package kernels
