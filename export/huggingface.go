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
	"strings"

	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/safetensors"
	"github.com/finch-llm/finch/model/tokenizer"
)

// moduleName is what Hugging Face calls the module that has a matrix, which ends up in this block, -1 outside of blocks. That
// of experts is the name of all of them.
func moduleName(m *model.Model, block int, part string) string {
	name := strings.TrimSuffix(m.HFTensor(block, part).Name, ".weight")
	return strings.Replace(name, ".%d.", ".", 1)
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
	config, tokenizerJSON := m.HuggingFace()
	made := config == nil
	if made {
		var err error
		if config, err = madeConfig(m); err != nil {
			return nil, err
		}
	}
	if err := json.Unmarshal(config, &f.config); err != nil {
		return nil, fmt.Errorf("config.json of %s: %w", m.Ref, err)
	}
	if made {
		return f, nil
	}
	if tokenizerJSON != nil {
		f.copied = append(f.copied, whole(tokenizer.JSONName, tokenizerJSON))
	}
	for _, name := range tokenizer.FileNames() {
		if name == tokenizer.JSONName { // known: the model that finch ships has no folder
			continue
		}
		content, err := os.ReadFile(filepath.Join(m.Path, name))
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
	plain := model.Config{ // all that the keys below say
		Architecture: "llama", Name: m.Name, Vocab: m.Vocab, Hidden: m.Hidden, MLP: m.MLP, Blocks: m.Blocks,
		Heads: m.Heads, KVHeads: m.KVHeads, HeadDim: m.HeadDim, Context: m.Context,
		RopeTheta: m.RopeTheta, NormEps: m.NormEps, TiedHead: m.TiedHead, RopeInterleaved: m.RopeInterleaved,
	}
	if m.Config != plain {
		return nil, fmt.Errorf("finch makes config.json for plain llama models only, and %s, a %s, is none: begin with the model's Hugging Face folder", m.Ref, m.Architecture)
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
	config[f.m.HFKey("num_hidden_layers")], config["torch_dtype"] = len(kept), "bfloat16"
	delete(config, "dtype")     // the newer name of torch_dtype, which every version reads
	var types []json.RawMessage // of the attention of each block
	if err := json.Unmarshal(f.config["layer_types"], &types); err == nil && len(types) == f.m.Blocks {
		left := []json.RawMessage{}
		for _, b := range kept {
			left = append(left, types[b])
		}
		config["layer_types"] = left
	}
	left := &model.Network{}
	for _, b := range kept {
		left.Blocks = append(left.Blocks, f.m.Network.Blocks[b])
	}
	if _, windows := f.m.WindowPattern(left); windows != nil { // however the configuration said it before
		list := make([]string, len(windows))
		for i, local := range windows {
			list[i] = map[bool]string{true: "sliding_attention", false: "full_attention"}[local]
		}
		config["layer_types"] = list
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

// bf16 is a matrix or vector, decoded, rounded to bf16 and in Hugging Face's order of rows, experts one by one; without data, zeros. It is
// nothing if Hugging Face's files have no such tensor.
func (f *folder) bf16(e *model.Tensor, block int) []hfTensor {
	as := f.m.HFTensor(block, e.Part)
	switch {
	case as.Name == "":
		return nil
	case e.Stack == 0:
		return []hfTensor{f.bf16Matrix(as.Name, e.Matrix, e, as)}
	}
	var list []hfTensor
	for i := range e.Stack {
		list = append(list, f.bf16Matrix(fmt.Sprintf(as.Name, i), expert(e, i), e, as))
	}
	return list
}

// expert is the matrix of one expert of a stack.
func expert(e *model.Tensor, i int) *kernels.Matrix {
	rows := e.Matrix.Rows / e.Stack
	if e.Matrix.Data == nil {
		return &kernels.Matrix{Format: e.Matrix.Format, Rows: rows, Cols: e.Matrix.Cols}
	}
	return e.Matrix.RowRange(i*rows, (i+1)*rows)
}

// bf16Matrix is one tensor of e, which is w.
func (f *folder) bf16Matrix(name string, w *kernels.Matrix, e *model.Tensor, as model.HFTensor) hfTensor {
	t := hfTensor{safetensors.TensorSpec{Name: name, DType: safetensors.BF16, Shape: []int{w.Rows, w.Cols}}, nil}
	switch {
	case e.Vector && !as.Row:
		t.Shape = []int{w.Cols}
	case as.Transposed:
		t.Shape = []int{w.Cols, w.Rows}
	}
	t.write = func(out io.Writer) error {
		if w.Data == nil {
			_, err := io.CopyN(out, zeroBytes{}, 2*int64(w.Rows)*int64(w.Cols))
			return err
		}
		values := make([]float32, w.Cols)
		row := func(r int) []float32 {
			kernels.Unpack(values, w, f.order(e)(r))
			return values
		}
		rows := w.Rows
		switch {
		case as.Transposed:
			all := make([]float32, w.Rows*w.Cols)
			for r := range w.Rows {
				kernels.Unpack(all[r*w.Cols:(r+1)*w.Cols], w, r)
			}
			rows, values = w.Cols, make([]float32, w.Rows)
			row = func(c int) []float32 {
				for r := range values {
					values[r] = all[r*w.Cols+c]
				}
				return values
			}
		case e.Vector && e.OfQK(): // numbers are permuted like rows
			all := make([]float32, w.Cols)
			kernels.Unpack(all, w, 0)
			row = func(int) []float32 {
				for i := range values {
					values[i] = all[f.order(e)(i)]
				}
				return values
			}
		}
		bytes := make([]byte, 2*len(values))
		for r := range rows {
			for i, x := range row(r) {
				binary.LittleEndian.PutUint16(bytes[2*i:], roundBF16(x-as.Offset))
			}
			if _, err := out.Write(bytes); err != nil {
				return err
			}
		}
		return nil
	}
	return t
}

// zeroBytes are as many as anyone reads.
type zeroBytes struct{}

func (zeroBytes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// roundBF16 rounds to the nearest bf16, ties to even.
func roundBF16(x float32) uint16 {
	bits := math.Float32bits(x)
	if x != x {
		return uint16(bits>>16) | 0x40 // a quiet NaN
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// order is the row of the model that comes at row r of a tensor in the file.
func (f *folder) order(e *model.Tensor) func(r int) int {
	if e.OfQK() && f.m.RopeInterleaved {
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

// parts lists the matrices and vectors of the kept blocks in Hugging Face's order, which has every part of a block: those of
// a sublayer that is dropped by itself are zeros, without data.
func (f *folder) parts(n *model.Network, kept []int) []model.Tensor {
	list := f.m.Tensors(n)
	for _, e := range f.m.Tensors(&f.m.Network) {
		if !slices.Contains(kept, e.Block) {
			continue
		}
		if block := &n.Blocks[e.Block]; e.Attention && block.DropAttn || !e.Attention && block.DropMLP {
			e.Matrix = &kernels.Matrix{Format: kernels.BF16, Rows: e.Matrix.Rows, Cols: e.Matrix.Cols}
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(a, b model.Tensor) int { return cmp.Compare(place(&a), place(&b)) })
	return list
}

// place puts blocks in order, between the embedding and the rest.
func place(e *model.Tensor) int {
	switch {
	case e.Block >= 0:
		return e.Block
	case e.Part == "token_embd":
		return -1
	}
	return math.MaxInt
}

// sorted puts files in the order of their names.
func sorted(files []File) []File {
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	return files
}
