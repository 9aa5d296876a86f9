// Package imatrix reads and writes llama.cpp's importance matrices: for each weight matrix of a model, the mean square of
// each of its inputs on some text. They come as GGUF files and in an older form (.dat), which llama.cpp still reads:
//
//	GGUF: general.type "imatrix", imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size; for each matrix the tensors
//	      NAME.in_sum2 [inputs], sums of squares, and NAME.counts [1], the number of tokens, in float32
//	.dat: matrix count int32
//	      matrix count × { name length int32, name, chunks int32, inputs int32, inputs × mean square · chunks float32 }
//	      optional: chunks int32, dataset length int32, dataset
//
// Everything is little-endian. Matrices of experts, of which GGUF files have several under one name, are refused: no model
// that finch runs has any.
package imatrix
