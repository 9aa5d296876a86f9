package model

import (
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/safetensors"
)

// PackedMatrix finds a matrix that PackedTensors describes, with rows of cols weights, in a file that has more than a model's.
func PackedMatrix(f *safetensors.File, name string, cols int) (*kernels.Matrix, error) {
	p := packed{File: f}
	return p.matrix(name, cols)
}
