package hub

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/finch-llm/finch/model/gguf"
	"github.com/finch-llm/finch/model/safetensors"
	"github.com/finch-llm/finch/model/tokenizer"
)

// choose picks the files that a reference needs, of those that there are. The last one is what is opened: a file of weights
// or data, the first part of a split GGUF, or else the shards' index, which names more files that are needed. An error says
// what there is instead.
func choose(ref Ref, names []string) ([]string, error) {
	has := func(name string) bool { return slices.Contains(names, name) }
	switch {
	case ref.Path != "" && !has(ref.Path):
		like := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return path.Ext(name) != path.Ext(ref.Path) })
		return nil, fmt.Errorf("no file %s, but %s", ref.Path, some(like))
	case ref.Dataset:
		return []string{ref.Path}, nil
	case ref.Path != "":
		return wholeGGUF(ref.Path, names)
	case has("config.json") && (has(safetensors.SingleName) || has(safetensors.IndexName)):
		list := []string{"config.json"}
		for _, name := range tokenizer.FileNames() {
			if has(name) {
				list = append(list, name)
			}
		}
		if has(safetensors.SingleName) {
			return append(list, safetensors.SingleName), nil
		}
		return append(list, safetensors.IndexName), nil
	}
	models := ggufModels(names)
	switch len(models) {
	case 0:
		return nil, fmt.Errorf("neither config.json with %s nor a .gguf file, but %s: look for a conversion of the model to one of them", safetensors.SingleName, some(names))
	case 1:
		return wholeGGUF(models[0], names)
	}
	return nil, fmt.Errorf("%d GGUF models: name one, such as %s/%s: there are %s", len(models), ref, models[0], some(models))
}

// wholeGGUF is a GGUF file with all parts that it is split into, the first of them last.
func wholeGGUF(name string, names []string) ([]string, error) {
	parts := gguf.Parts(name)
	for _, part := range parts {
		if !slices.Contains(names, part) {
			return nil, fmt.Errorf("not all parts of %s: %s is missing", name, part)
		}
	}
	return append(parts[1:], parts[0]), nil
}

// ggufModels are the GGUF files among names, the first part for those that are split.
func ggufModels(names []string) []string {
	var models []string
	for _, name := range names {
		if strings.HasSuffix(name, ".gguf") && gguf.Parts(name)[0] == name {
			models = append(models, name)
		}
	}
	slices.Sort(models)
	return models
}

// some lists names in a message.
func some(names []string) string {
	const most = 40
	switch {
	case len(names) == 0:
		return "nothing like it"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
