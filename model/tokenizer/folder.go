package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// Files are the files of a Hugging Face folder that describe its tokenizer; nil: not there.
type Files struct {
	JSON   []byte // tokenizer.json
	Model  []byte // tokenizer.model, of SentencePiece
	Added  []byte // added_tokens.json: ids by token
	Config []byte // tokenizer_config.json

	Template   []byte // chat_template.jinja
	Generation []byte // generation_config.json
}

// maxFile bounds the files in bytes; the largest tokenizer.json known has 33 million.
const maxFile = 256 << 20

// ReadFolder reads the files of a folder. One of tokenizer.json and tokenizer.model must be there.
func ReadFolder(dir string) (*Files, error) {
	f := &Files{}
	for _, part := range []struct {
		name string
		into *[]byte
	}{
		{"tokenizer.json", &f.JSON}, {"tokenizer.model", &f.Model}, {"added_tokens.json", &f.Added}, {"tokenizer_config.json", &f.Config},
		{"chat_template.jinja", &f.Template}, {"generation_config.json", &f.Generation},
	} {
		path := filepath.Join(dir, part.name)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		case info.Size() > maxFile:
			return nil, fmt.Errorf("%s has %d bytes: more than %d cannot be right", path, info.Size(), maxFile)
		}
		if *part.into, err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	if f.JSON == nil && f.Model == nil {
		return nil, fmt.Errorf("%s has neither tokenizer.json nor tokenizer.model", dir)
	}
	return f, nil
}

// Source are the files that decide how the tokenizer encodes, one after the other: tokenizer.json, or where there is none
// all others.
func (f *Files) Source() []byte {
	if f.JSON != nil {
		return f.JSON
	}
	return slices.Concat(f.Model, f.Added, f.Config)
}

// Load makes the tokenizer of tokenizer.json, or where there is none of tokenizer.model. name says in errors what was read.
func (f *Files) Load(name string) (*Tokenizer, error) {
	t, err := f.load(name)
	if err != nil {
		return nil, err
	}
	if t.template, err = f.template(); err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", name, err)
	}
	return t, nil
}

// template is that of a chat: chat_template.jinja, or what tokenizer_config.json has, one or several with a name.
func (f *Files) template() (string, error) {
	if f.Template != nil || f.Config == nil {
		return string(f.Template), nil
	}
	var config struct {
		Template json.RawMessage `json:"chat_template"`
	}
	if err := json.Unmarshal(f.Config, &config); err != nil {
		return "", fmt.Errorf("tokenizer_config.json: %w", err)
	}
	var one string
	if config.Template == nil || json.Unmarshal(config.Template, &one) == nil {
		return one, nil
	}
	var several []struct{ Name, Template string }
	if err := json.Unmarshal(config.Template, &several); err != nil {
		return "", fmt.Errorf("tokenizer_config.json: chat_template: %w", err)
	}
	for _, t := range several {
		if t.Name == "default" {
			one = t.Template
		}
	}
	return one, nil
}

func (f *Files) load(name string) (*Tokenizer, error) {
	if f.JSON != nil {
		return FromJSON(f.JSON, name+"/tokenizer.json")
	}
	config, err := f.config()
	if err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", name, err)
	}
	added, err := f.addedTokens(config)
	if err != nil {
		return nil, fmt.Errorf("tokenizer %s: %w", name, err)
	}
	t, err := fromModel(f.Model, added)
	if err != nil {
		return nil, fmt.Errorf("tokenizer %s/tokenizer.model: %w", name, err)
	}
	t.name = name + "/tokenizer.model"
	if add := config.AddBOS; add != nil {
		t.addBOS = *add && t.bos >= 0
	}
	return t, nil
}

// folderConfig is the part of a tokenizer_config.json that tokenizer.model needs.
type folderConfig struct {
	AddBOS *bool                 `json:"add_bos_token"`
	Added  map[string]addedToken `json:"added_tokens_decoder"` // by id
}

func (f *Files) config() (c folderConfig, err error) {
	if f.Config != nil {
		if err = json.Unmarshal(f.Config, &c); err != nil {
			err = fmt.Errorf("tokenizer_config.json: %w", err)
		}
	}
	return c, err
}

// addedTokens are those of added_tokens.json and of tokenizer_config.json, which says more about each, by id.
func (f *Files) addedTokens(config folderConfig) ([]addedToken, error) {
	var ids map[string]int32
	if f.Added != nil {
		if err := json.Unmarshal(f.Added, &ids); err != nil {
			return nil, fmt.Errorf("added_tokens.json: %w", err)
		}
	}
	byID := make(map[int32]addedToken, len(ids)+len(config.Added))
	for _, content := range slices.Sorted(maps.Keys(ids)) {
		id := ids[content]
		if other, ok := byID[id]; ok {
			return nil, fmt.Errorf("added_tokens.json gives the id %d to %q and %q", id, other.Content, content)
		}
		byID[id] = addedToken{ID: id, Content: content}
	}
	for key, token := range config.Added {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || strconv.FormatInt(id, 10) != key {
			return nil, fmt.Errorf("tokenizer_config.json: added_tokens_decoder has the key %q, which is no id", key)
		}
		token.ID = int32(id)
		byID[token.ID] = token
	}
	added := make([]addedToken, 0, len(byID))
	for _, token := range byID {
		added = append(added, token)
	}
	slices.SortFunc(added, func(a, b addedToken) int { return int(a.ID) - int(b.ID) })
	return added, nil
}
