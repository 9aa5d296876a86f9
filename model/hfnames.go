package model

import "fmt"

// HuggingFace gives config.json and, if there is one, tokenizer.json of a model from a Hugging Face folder; config is nil for
// others.
func (m *Model) HuggingFace() (config, tokenizer []byte) {
	if m.tokenizer == nil {
		return m.configJSON, nil
	}
	return m.configJSON, m.tokenizer.JSON
}

// HFTensor says how Hugging Face's files have a tensor.
type HFTensor struct {
	Name       string // with %d for the expert where experts are stored one by one; empty: they lack it
	Transposed bool
	Row        bool    // it is a matrix of one row, no vector
	Offset     float32 // that finch has added
}

// HFTensor finds a tensor of a block, or of -1, by GGUF's name for the part.
func (c *Config) HFTensor(block int, part string) HFTensor {
	d := c.design()
	t := HFTensor{Name: d.hfName(block, part), Row: part == FFNSharedRouter.String()}
	for k := range d.layers {
		t.Transposed = t.Transposed || d.transposed && k.String() == part
	}
	if part == outputNorm {
		t.Offset = d.normOffset
	}
	for p := range d.parts {
		if p.String() == part && p.isNorm() {
			t.Offset = d.normOffset
		}
	}
	return t
}

// HFKey is the key of config.json that stands for one of Llama's.
func (c *Config) HFKey(usual string) string {
	if key := c.design().keys[usual]; key != "" {
		return key
	}
	return usual
}

// hfName is Hugging Face's name of a tensor.
func (a *architecture) hfName(block int, part string) string {
	if block < 0 {
		return a.outside[part]
	}
	stem := fmt.Sprintf(a.stem, block)
	for k, name := range a.layers {
		if k.String() == part {
			return stem + name + ".weight"
		}
	}
	for p, name := range a.parts {
		if p.String() == part {
			return stem + name
		}
	}
	panic(fmt.Sprintf("model: %s has no %s", a.modelType, part))
}
