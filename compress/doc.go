// Package compress stores layers at levels: it rounds or prunes weights to the representation that ships, says exactly what
// that costs, and keeps the results in a level database.
//
// A Level names one way to store a layer ("q4_k", "sparse-0.60+q4_0"), or to keep or drop a sublayer. A Compressor turns a
// Layer of float32 weights into the kernels.Matrix of a level. A new compressor is one file that implements Compressor, one
// line in the registry (registry.go) and the shared conformance suite (conformance_test.go).
//
// The same weights and level give the same bytes on every machine: sums have one order, and explicit conversions keep
// compilers from fusing products into them. Levels that need the second moments of a layer's inputs do so for any number of
// threads; on another architecture, gonum may round the moments' Cholesky factor in another way.
package compress
