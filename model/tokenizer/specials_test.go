package tokenizer

import "testing"

// Control tokens do not stand for text; bytes and added tokens that are no control tokens do. A GGUF says the same.
func TestIsText(t *testing.T) {
	for name, want := range map[string]map[string]bool{
		"qwen2":  {"<|endoftext|>": false, "<|im_start|>": false, "[LEFT]": true, "abcde": true, "Ġ": true, "a": true},
		"llama2": {"<unk>": false, "<s>": false, "</s>": false, "<|im_end|>": false, "[LEFT]": true, "<0x0A>": true, "▁": true},
	} {
		tok := loadJSON(t, "testdata/"+name+".tokenizer.json")
		gguf := throughGGUF(t, tok)
		for token, text := range want {
			id, ok := tok.ID(token)
			if !ok || tok.IsText(id) != text || gguf.IsText(id) != text {
				t.Errorf("%s: %q (%d, %t) stands for text: %t, in a GGUF %t, want %t", name, token, id, ok, tok.IsText(id), gguf.IsText(id), text)
			}
		}
		for _, id := range []int32{-1, int32(tok.Vocab())} {
			if tok.IsText(id) {
				t.Errorf("%s: %d is outside the vocabulary and stands for text", name, id)
			}
		}
	}
}
