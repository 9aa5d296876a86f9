package tokenizer

// JSONName is the file that has a whole tokenizer.
const JSONName = "tokenizer.json"

// FileNames are the files of a Hugging Face folder that say how a model reads and writes text: which those are depends on the
// tokenizer's kind and on the version of transformers that wrote them.
func FileNames() []string {
	return []string{
		"added_tokens.json", "chat_template.jinja", "chat_template.json", "generation_config.json", "merges.txt",
		"special_tokens_map.json", JSONName, "tokenizer.model", "tokenizer_config.json", "vocab.json",
	}
}
