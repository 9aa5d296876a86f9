package model

import (
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/finch-llm/finch/internal/hub"
)

// openFromHub opens a model of the hub that is in the cache. Nothing is brought: that takes a context and somebody to tell
// how it goes.
func openFromHub(ref string) (*Model, error) {
	client, err := hub.New(os.Getenv)
	if err != nil {
		return nil, err
	}
	r, err := hub.ParseRef(ref)
	if err != nil {
		return nil, err
	}
	if r.Dataset {
		return nil, fmt.Errorf("%s is of a data set: a model is hf://ORG/NAME or hf://ORG/NAME/FILE.gguf", ref)
	}
	file, err := client.Find(r)
	if err != nil {
		return nil, err
	}
	m, err := Open(file)
	if err != nil {
		return nil, err
	}
	m.Ref = ref
	if m.Name == filepath.Base(file) { // for want of a better one: that of the folder, which is a commit
		m.Name = path.Base(r.Repo)
	}
	return m, nil
}
