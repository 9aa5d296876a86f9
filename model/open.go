package model

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/finch-llm/finch/model/finchling"
	"github.com/finch-llm/finch/model/safetensors"
	"github.com/finch-llm/finch/model/tokenizer"
)

// Builtin is the reference of the model that finch ships.
const Builtin = "builtin:finchling"

// Open loads the model at path: a .gguf file, a file that finch packed, a Hugging Face folder, or builtin:finchling.
// All that the files hold is read once, for the hash, and stays mapped, not in memory of its own: they must not change while the
// model is open. Layers of mixtures and of GPT-2 in Hugging Face folders are copied, because they are stored otherwise than they
// are multiplied; it is an error if there is not so much memory.
func Open(path string) (*Model, error) { return OpenAs(path, path) }

// OpenAs opens the model at path that the user calls ref: errors and records have that name.
func OpenAs(path, ref string) (*Model, error) {
	m, err := open(path, ref)
	if err != nil {
		return nil, err
	}
	m.Path = path
	return m, nil
}

func open(path, ref string) (*Model, error) {
	switch {
	case path == Builtin:
		weights, err := safetensors.ParseFolder(finchling.Weights, Builtin)
		if err != nil {
			return nil, err
		}
		return fromHuggingFace(ref, finchling.Config, &tokenizer.Files{JSON: finchling.Tokenizer}, weights)
	case strings.HasPrefix(path, "builtin:"):
		return nil, fmt.Errorf("model %q is not known: finch ships %s", ref, Builtin)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("a model is a .gguf or .packed file, a Hugging Face folder, %s or hf://ORG/NAME: %w", Builtin, err)
	case info.IsDir():
		return openFolder(path, ref)
	}
	packed, err := startsLikeSafetensors(path)
	switch {
	case err != nil:
		return nil, err
	case packed:
		return openPacked(path, ref)
	default:
		return openGGUF(path, ref)
	}
}

// startsLikeSafetensors tells safetensors files from GGUF files: after eight bytes of length comes JSON.
func startsLikeSafetensors(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	start := make([]byte, 9)
	if _, err := io.ReadFull(f, start); err != nil {
		return false, nil // too short for either: the reader of GGUF files says so
	}
	return string(start[:4]) != "GGUF" && start[8] == '{', nil
}
