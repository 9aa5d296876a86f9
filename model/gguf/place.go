package gguf

import (
	"cmp"
	"slices"

	"github.com/finch-llm/finch/internal/names"
)

// place finds the data of every tensor, in the order of the offsets, so that overlaps meet.
func (p *parser) place() error {
	tensors := p.file.Tensors
	order := make([]int32, len(tensors))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(tensors[a].Offset, tensors[b].Offset), cmp.Compare(a, b))
	})

	start := int64(p.pos) + padding(int64(p.pos), p.file.Alignment)
	space := uint64(max(0, int64(len(p.data))-start))
	end := uint64(0)   // of the data of the tensors so far
	previous := "none" // the tensor that ends there
	for _, i := range order {
		t := &tensors[i]
		p.item = t.Name
		size, err := TensorSize(t.Type, t.Dims)
		if err != nil {
			return p.fail(p.pos, "%w", err)
		}
		at := int(start) + int(min(t.Offset, space))
		switch {
		case t.Offset >= space:
			return p.fail(at, "its offset %d is past the end of the %d bytes of tensor data: the file is damaged or was cut short, copy or download it again", t.Offset, space)
		case uint64(size) > space-t.Offset:
			return p.fail(at, "its %d bytes are more than the %d left in the file: it was cut short, copy or download it again", size, space-t.Offset)
		case t.Offset < end:
			return p.fail(at, "its data overlaps that of tensor %s", names.Quote(previous))
		}
		end, previous = t.Offset+uint64(size), t.Name
		t.Data = p.data[at : at+int(size) : at+int(size)]
	}
	return nil
}
