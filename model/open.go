package model

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/finch-llm/finch/internal/hub"
	"github.com/finch-llm/finch/model/finchling"
	"github.com/finch-llm/finch/model/safetensors"
	"github.com/finch-llm/finch/model/tokenizer"
)

// Builtin is the reference of the model that finch ships.
const Builtin = "builtin:finchling"

// Open loads the model that ref names: a .gguf file, a file that finch packed, a Hugging Face folder, builtin:finchling, or
// hf://ORG/NAME for a model of the Hugging Face hub that is in its cache.
// All that the files hold is read once, for the hash, and stays mapped, not in memory of its own: they must not change while the
// model is open. Layers of mixtures and of GPT-2 in Hugging Face folders are copied, because they are stored otherwise than they
// are multiplied; it is an error if there is not so much memory.
func Open(ref string) (*Model, error) {
	switch {
	case ref == Builtin:
		weights, err := safetensors.ParseFolder(finchling.Weights, Builtin)
		if err != nil {
			return nil, err
		}
		return fromHuggingFace(Builtin, finchling.Config, &tokenizer.Files{JSON: finchling.Tokenizer}, weights)
	case strings.HasPrefix(ref, "builtin:"):
		return nil, fmt.Errorf("model %q is not known: finch ships %s", ref, Builtin)
	case strings.HasPrefix(ref, hub.Scheme):
		return openFromHub(ref)
	}
	info, err := os.Stat(ref)
	switch {
	case err != nil:
		return nil, fmt.Errorf("a model is a .gguf file, a Hugging Face folder, %s or hf://ORG/NAME: %w", Builtin, err)
	case info.IsDir():
		return openFolder(ref)
	}
	packed, err := startsLikeSafetensors(ref)
	switch {
	case err != nil:
		return nil, err
	case packed:
		return openPacked(ref)
	default:
		return openGGUF(ref)
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
