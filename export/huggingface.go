package export

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/safetensors"
)

// What Hugging Face calls the parts of a Llama model, within a block or outside.
var hfNames = map[string]string{
	"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
	"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
	"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
	"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}

// hfName is Hugging Face's name of a module that ends up in this block, -1 outside of blocks.
func hfName(block int, part string) string {
	if block < 0 {
		return hfNames[part]
	}
	return fmt.Sprintf("model.layers.%d.%s", block, hfNames[part])
}

// tokenizerFiles may lie in a Hugging Face folder beside tokenizer.json, which finch itself reads.
var tokenizerFiles = []string{
	"added_tokens.json", "chat_template.jinja", "chat_template.json", "generation_config.json", "merges.txt",
	"special_tokens_map.json", "tokenizer.model", "tokenizer_config.json", "vocab.json",
}

// folder is what all Hugging Face folders of a model have in common.
type folder struct {
	m      *model.Model
	config map[string]json.RawMessage
	copied []File // the tokenizer
	shard  int64  // largest number of bytes of the tensors in one file
}

// shardBytes is where transformers splits weights by convention.
const shardBytes = 5e9

func newFolder(m *model.Model) (*folder, error) {
	f := &folder{m: m, config: map[string]json.RawMessage{}, shard: shardBytes}
	config, tokenizer := m.HuggingFace()
	if config == nil {
		var err error
		if config, err = madeConfig(m); err != nil {
			return nil, err
		}
	}
	if err := json.Unmarshal(config, &f.config); err != nil {
		return nil, fmt.Errorf("config.json of %s: %w", m.Ref, err)
	}
	if tokenizer == nil {
		return f, nil
	}
	f.copied = append(f.copied, whole("tokenizer.json", tokenizer))
	for _, name := range tokenizerFiles {
		content, err := os.ReadFile(filepath.Join(m.Ref, name))
		switch {
		case err == nil:
			f.copied = append(f.copied, whole(name, content))
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return f, nil
}

// whole is a file whose content is known.
func whole(name string, content []byte) File {
	return File{Name: name, Bytes: int64(len(content)), Write: func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	}}
}

// madeConfig is the config.json of a model that has none.
func madeConfig(m *model.Model) ([]byte, error) {
	if m.Architecture != "llama" {
		return nil, fmt.Errorf("finch makes config.json for llama models only, and %s is a %s: begin with the model's Hugging Face folder", m.Ref, m.Architecture)
	}
	config := map[string]any{
		"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama", "hidden_act": "silu", "attention_bias": false, "mlp_bias": false,
		"vocab_size": m.Vocab, "hidden_size": m.Hidden, "intermediate_size": m.MLP, "num_hidden_layers": m.Blocks,
		"num_attention_heads": m.Heads, "num_key_value_heads": m.KVHeads, "head_dim": m.HeadDim, "max_position_embeddings": m.Context,
		"rope_theta": m.RopeTheta, "rms_norm_eps": m.NormEps, "tie_word_embeddings": m.TiedHead,
	}
	if bos, _ := m.Tokenizer.BOS(); bos >= 0 {
		config["bos_token_id"] = bos
	}
	if eos := m.Tokenizer.EOS(); eos >= 0 {
		config["eos_token_id"] = eos
	}
	return json.Marshal(config)
}

// configFile is config.json of a network that keeps some blocks, with more keys if given.
func (f *folder) configFile(kept []int, more map[string]any) (File, error) {
	config := map[string]any{}
	for key, value := range f.config {
		config[key] = value
	}
	config["num_hidden_layers"], config["torch_dtype"] = len(kept), "bfloat16"
	delete(config, "dtype")     // the newer name of torch_dtype, which every version reads
	var types []json.RawMessage // of the attention of each block
	if err := json.Unmarshal(f.config["layer_types"], &types); err == nil && len(types) == f.m.Blocks {
		left := []json.RawMessage{}
		for _, b := range kept {
			left = append(left, types[b])
		}
		config["layer_types"] = left
	}
	for key, value := range more {
		config[key] = value
	}
	text, err := json.MarshalIndent(config, "", "  ")
	return whole("config.json", append(text, '\n')), err
}

// hfTensor is a tensor on its way to a Hugging Face folder.
type hfTensor struct {
	safetensors.TensorSpec
	write func(w io.Writer) error
}

// bf16 is a matrix or norm, decoded, rounded to bf16 and in Hugging Face's order of rows; without data, zeros.
func (f *folder) bf16(e *tensor, block int) hfTensor {
	t := hfTensor{safetensors.TensorSpec{Name: hfName(block, e.part) + ".weight", DType: safetensors.BF16, Shape: []int{e.w.Rows, e.w.Cols}}, nil}
	if e.norm {
		t.Shape = t.Shape[1:]
	}
	order := f.order(e.part)
	t.write = func(w io.Writer) error {
		row, out := make([]float32, e.w.Cols), make([]byte, 2*e.w.Cols)
		for r := range e.w.Rows {
			if e.w.Data != nil {
				kernels.Unpack(row, e.w, order(r))
			}
			for i, x := range row {
				binary.LittleEndian.PutUint16(out[2*i:], roundBF16(x))
			}
			if _, err := w.Write(out); err != nil {
				return err
			}
		}
		return nil
	}
	return t
}

// roundBF16 rounds to the nearest bf16, ties to even.
func roundBF16(x float32) uint16 {
	bits := math.Float32bits(x)
	if x != x {
		return uint16(bits>>16) | 0x40 // a quiet NaN
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// order is the row of the model that comes at row r of a part in the file.
func (f *folder) order(part string) func(r int) int {
	if (part == model.AttnQ.String() || part == model.AttnK.String()) && f.m.RopeInterleaved {
		return func(r int) int { return pairsRow(r, f.m.HeadDim) }
	}
	return func(r int) int { return r }
}

// pairsRow is the row of llama.cpp's q or k, whose rotary pairs are (2i, 2i+1), that Hugging Face, whose pairs are
// (i, i + headDim/2), has at row r.
func pairsRow(r, headDim int) int {
	head, i := r/headDim, r%headDim
	return head*headDim + i%(headDim/2)*2 + i/(headDim/2)
}

// weightFiles are the files of all tensors: one, or shards with an index.
func (f *folder) weightFiles(list []hfTensor) ([]File, error) {
	shards, total, err := f.split(list)
	if err != nil {
		return nil, err
	}
	var files []File
	index := struct {
		Metadata map[string]int64  `json:"metadata"`
		Map      map[string]string `json:"weight_map"`
	}{map[string]int64{"total_size": total}, map[string]string{}}
	for i, shard := range shards {
		name := "model.safetensors"
		if len(shards) > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		}
		for _, t := range shard {
			index.Map[t.Name] = name
		}
		file, err := weightFile(name, shard)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	if len(shards) > 1 {
		text, err := json.MarshalIndent(index, "", "  ")
		if err != nil {
			return nil, err
		}
		files = append(files, whole("model.safetensors.index.json", append(text, '\n')))
	}
	return files, nil
}

// split fills one shard after the other.
func (f *folder) split(list []hfTensor) (shards [][]hfTensor, total int64, err error) {
	left := int64(0)
	for _, t := range list {
		size, err := t.Size()
		if err != nil {
			return nil, 0, err
		}
		if size > left || shards == nil {
			shards, left = append(shards, nil), f.shard
		}
		last := &shards[len(shards)-1]
		*last = append(*last, t)
		left -= size
		total += size
	}
	return shards, total, nil
}

// entryBytes bounds the header entry of one tensor in a safetensors file. Headers are padded with spaces to what this
// bound adds up to. It is a multiple of 8, as headers are.
var entryBytes = align(int64(len(fmt.Sprintf(`"model.layers.99999.post_attention_layernorm.weight":{"dtype":"BF16","shape":[%d,%d],"data_offsets":[%d,%d]},`,
	math.MaxInt32, math.MaxInt32, int64(1e15), int64(1e15)))), 8)

func weightFile(name string, shard []hfTensor) (File, error) {
	h := safetensors.Header{Metadata: map[string]string{"format": "pt"}}
	h.MinBytes = align(int64(len(`{"__metadata__":{"format":"pt"}}`)), 8) + int64(len(shard))*entryBytes
	for _, t := range shard {
		h.Tensors = append(h.Tensors, t.TensorSpec)
	}
	size, err := safetensors.Size(h)
	return File{Name: name, Bytes: size, Write: func(w io.Writer) error {
		return safetensors.Write(w, h, func(i int, w io.Writer) error { return shard[i].write(w) })
	}}, err
}

// parts lists the matrices and norms of the kept blocks in Hugging Face's order, which has every part of a block: those of
// a sublayer that is dropped by itself are zeros, without data. names are of blocks in the file.
func (f *folder) parts(n *model.Network, kept []int) []tensor {
	list := tensors(f.m, n)
	for _, b := range kept {
		block := &n.Blocks[b]
		norm := &kernels.Matrix{Format: kernels.F32, Rows: 1, Cols: f.m.Hidden}
		if block.DropAttn {
			list = append(list, tensor{b, "attn_norm", norm, true})
		}
		if block.DropMLP {
			list = append(list, tensor{b, "ffn_norm", norm, true})
		}
		for k := range f.m.Network.Blocks[b].Layers {
			if kind := model.Kind(k); block.Drops(kind) {
				rows, cols := f.m.Shape(kind)
				list = append(list, tensor{b, kind.String(), &kernels.Matrix{Format: kernels.BF16, Rows: rows, Cols: cols}, false})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b tensor) int { return cmp.Compare(place(&a), place(&b)) })
	return list
}

// place puts blocks in order, between the embedding and the rest.
func place(e *tensor) int {
	switch {
	case e.block >= 0:
		return e.block
	case e.part == "token_embd":
		return -1
	}
	return math.MaxInt
}

// sorted puts files in the order of their names.
func sorted(files []File) []File {
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	return files
}
