package tokenizer

import (
	"encoding/json"
	"fmt"
)

// The usual names of the tokens around a text, first choice first: tokenizer.json itself has none.
var (
	usualBOS = []string{"<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "<|endoftext|>"}
	usualEOS = []string{"</s>", "<eos>", "<|end_of_text|>", "<|im_end|>", "<|endoftext|>"}
)

// postProcessor is the part of a tokenizer.json that frames a text. Only TemplateProcessing, perhaps within a Sequence,
// can add a beginning-of-text token.
type postProcessor struct {
	Type       string            `json:"type"`
	Processors []json.RawMessage `json:"processors"`
	Single     []struct {
		SpecialToken *struct {
			ID string `json:"id"`
		}
	} `json:"single"`
	SpecialTokens map[string]struct {
		IDs []int32 `json:"ids"`
	} `json:"special_tokens"`
}

func (t *Tokenizer) findSpecials(raw json.RawMessage) error {
	t.bos, t.eos = t.firstOf(usualBOS), t.firstOf(usualEOS)
	return t.readPostProcessor(raw, 0)
}

func (t *Tokenizer) firstOf(names []string) int32 {
	for _, name := range names {
		if id, ok := t.ids[name]; ok {
			return id
		}
	}
	return -1
}

func (t *Tokenizer) readPostProcessor(raw json.RawMessage, depth int) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if depth > maxNesting {
		return fmt.Errorf("post-processors are nested more than %d deep", maxNesting)
	}
	var p postProcessor
	if err := json.Unmarshal(raw, &p); err != nil {
		return fmt.Errorf("post-processor: %w", err)
	}
	switch p.Type {
	case "Sequence":
		for _, raw := range p.Processors {
			if err := t.readPostProcessor(raw, depth+1); err != nil {
				return err
			}
		}
	case "TemplateProcessing":
		if len(p.Single) == 0 {
			return nil
		}
		if first := p.Single[0].SpecialToken; first != nil {
			ids := p.SpecialTokens[first.ID].IDs
			if len(ids) == 0 {
				return fmt.Errorf("post-processor: the template begins with %q, which special_tokens lacks", first.ID)
			}
			t.bos, t.addBOS = ids[0], true
		}
		if last := p.Single[len(p.Single)-1].SpecialToken; last != nil && len(p.Single) > 1 {
			if ids := p.SpecialTokens[last.ID].IDs; len(ids) > 0 {
				t.eos = ids[0]
			}
		}
	case "ByteLevel":
	default:
		return unsupported("post-processor", p.Type, "ByteLevel, TemplateProcessing, Sequence")
	}
	return nil
}
