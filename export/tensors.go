package export

import "github.com/finch-llm/finch/model"

// parts is what the parts of one sublayer take, each of them bytes.
func parts(m *model.Model, attention bool, bytes func(rows, cols int) int64) int64 {
	var sum int64
	for _, p := range m.Parts() {
		if p.IsAttention() == attention {
			sum += bytes(m.PartShape(p))
		}
	}
	return sum
}

// outside lists what a model consists of beside its blocks.
func outside(m *model.Model) []model.Tensor { return m.Tensors(&model.Network{}) }
