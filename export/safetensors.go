package export

import (
	"fmt"
	"math"

	"github.com/finch-llm/finch/compress"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/gguf"
)

// entryBytes bounds the header entry of one tensor in a safetensors file. Headers are padded with spaces, which the format
// provides for, to what this bound adds up to.
var entryBytes = int64(len(fmt.Sprintf(`"model.layers.9999.post_attention_layernorm.weight":{"dtype":"BF16","shape":[%d,%d],"data_offsets":[%d,%d]},`,
	math.MaxInt32, math.MaxInt32, int64(1e15), int64(1e15))))

// safetensorsBytes is the size of a file with so many tensors and bytes of data: the length of the header, the header, the
// data.
func safetensorsBytes(tensors, data int64) int64 {
	return 8 + align(int64(len(`{"__metadata__":{"format":"pt"},}`))+tensors*entryBytes, 8) + data
}

// safetensorsTarget is the weight file of a Hugging Face folder, as transformers loads it: every weight in bf16, zeros
// included. Only dropping makes it smaller.
type safetensorsTarget struct{}

func (safetensorsTarget) Fixed(m *model.Model) (int64, error) {
	tensors, weights := int64(2), int64(m.Vocab+1)*int64(m.Hidden) // embedding and last norm
	if !m.TiedHead {
		tensors++
		weights += int64(m.Vocab) * int64(m.Hidden)
	}
	return safetensorsBytes(tensors, 2*weights), nil
}

func (safetensorsTarget) Layer(info compress.Info) int64 { return entryBytes + 2*info.Weights() }

func (safetensorsTarget) Norm(m *model.Model) int64 { return entryBytes + 2*int64(m.Hidden) }

// packedTarget is finch's own file: a safetensors container of the stored bytes of every level, the mask of a sparse layer
// beside its values, and the model's metadata and tokenizer as one more tensor, in GGUF's encoding.
type packedTarget struct{}

func (packedTarget) Fixed(m *model.Model) (int64, error) {
	meta, err := m.Metadata()
	if err != nil {
		return 0, err
	}
	metadata, err := gguf.Size(gguf.Header{Meta: meta})
	if err != nil {
		return 0, err
	}
	tensors, data := int64(3), metadata+m.Embedding.Bytes()+4*int64(m.Hidden)
	if !m.TiedHead {
		tensors++
		data += m.Head.Bytes()
	}
	return safetensorsBytes(tensors, data), nil
}

func (packedTarget) Layer(info compress.Info) int64 {
	size := info.Bytes + entryBytes
	if info.Sparse {
		size += entryBytes
	}
	return size
}

func (packedTarget) Norm(m *model.Model) int64 { return entryBytes + 4*int64(m.Hidden) }
