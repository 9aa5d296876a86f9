package model

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/finch-llm/finch/internal/resources"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model/safetensors"
	"github.com/finch-llm/finch/model/tokenizer"
)

// openFolder reads a Hugging Face folder: config.json, tokenizer.json or tokenizer.model, model.safetensors or its shards.
func openFolder(dir, ref string) (*Model, error) {
	config, err := readSmall(filepath.Join(dir, "config.json"), 1<<20)
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.ReadFolder(dir)
	if err != nil {
		return nil, err
	}
	weights, err := safetensors.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	m, err := fromHuggingFace(ref, config, tok, weights)
	if err != nil {
		weights.Close()
		return nil, err
	}
	m.close = weights.Close
	return m, nil
}

// readSmall reads a file that no model has larger than limit bytes.
func readSmall(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("a Hugging Face model folder holds config.json, tokenizer.json and *.safetensors: %w", err)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes: more than %d cannot be right", path, info.Size(), limit)
	}
	return os.ReadFile(path)
}

// fromHuggingFace assembles a model from the contents of a Hugging Face folder.
func fromHuggingFace(ref string, config []byte, tok *tokenizer.Files, weights *safetensors.Folder) (*Model, error) {
	h, a, err := parseConfig(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	c, err := h.config(a)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	local, err := h.local(a)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	if c.Name == "" {
		c.Name = strings.TrimPrefix(filepath.Base(ref), "builtin:")
	}
	m := &Model{Config: c, Ref: ref, configJSON: config, tokenizer: tok}
	if m.Tokenizer, err = tok.Load(ref); err != nil {
		return nil, err
	}
	if m.Tokenizer, err = h.specials(m.Tokenizer, tok.Generation); err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	available, known := resources.AvailableMemory()
	if need := a.copied(weights); known && need > available {
		return nil, fmt.Errorf("%s: layers of a %s are copied from a folder into memory: %d bytes, of which %d are free: convert the model to GGUF, whose layers are not",
			ref, a.modelType, need, available)
	}
	load := &loader{ref: ref, hash: sha256.New(), name: a.hfName, normOffset: a.normOffset, transposed: a.transposed}
	load.find = func(name string, _ int) (*kernels.Matrix, error) {
		return a.hfMatrix(weights, name, c.Experts, load.use)
	}
	load.hash.Write(config)
	load.hash.Write(tok.Source())
	if err := load.assemble(m, nothingDropped, local); err != nil {
		return nil, err
	}
	names := func(yield func(string) bool) {
		for _, t := range weights.Tensors {
			if !yield(t.Name) {
				return
			}
		}
	}
	redundant := func(name string) bool { return a.redundant(name, c.TiedHead) }
	if err := load.finish(a.modelType, names, redundant); err != nil {
		return nil, err
	}
	m.Hash, m.Bytes = hex.EncodeToString(load.hash.Sum(nil)), load.bytes
	return m, nil
}

// copied is how many bytes of a folder's layers are copied, to stack or to transpose them.
func (a *architecture) copied(weights *safetensors.Folder) (bytes int64) {
	for _, t := range weights.Tensors {
		if a.mixture() && strings.Contains(t.Name, ".experts.") || a.transposed && len(t.Shape) == 2 && strings.Contains("."+t.Name, ".h.") {
			bytes += int64(len(t.Data))
		}
	}
	return bytes
}

// redundant tells tensors that change nothing: old files repeat the rotary frequencies, the mask of attention, and a tied head.
func (a *architecture) redundant(name string, tied bool) bool {
	mask := a.learned && (strings.HasSuffix(name, ".attn.bias") || strings.HasSuffix(name, ".attn.masked_bias"))
	return mask || strings.HasSuffix(name, ".rotary_emb.inv_freq") || tied && name == a.outside[outputHead]
}

// hfMatrix finds a matrix in the files of a folder, or, if its name has a %d, those of all experts, which it stacks. GPT-2's
// own files lack the first part of each name.
func (a *architecture) hfMatrix(weights *safetensors.Folder, name string, experts int, use func(name string)) (*kernels.Matrix, error) {
	if strings.Contains(name, "%d") {
		var list []*kernels.Matrix
		for e := range experts {
			m, err := a.hfMatrix(weights, fmt.Sprintf(name, e), experts, use)
			if err != nil {
				return nil, err
			}
			list = append(list, m)
		}
		m, err := stacked(list)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", name, err)
		}
		return m, nil
	}
	t, ok := weights.Tensor(name)
	if !ok {
		if t, ok = weights.Tensor(strings.TrimPrefix(name, "transformer.")); !ok {
			return nil, fmt.Errorf("tensor %s is missing", name)
		}
	}
	format, ok := map[string]kernels.Format{"F32": kernels.F32, "F16": kernels.F16, "BF16": kernels.BF16}[string(t.DType)]
	if !ok {
		return nil, fmt.Errorf("tensor %s is stored as %s: finch reads F32, F16 and BF16", name, t.DType)
	}
	use(t.Name)
	return shaped(name, format, t.Shape, t.Data)
}
