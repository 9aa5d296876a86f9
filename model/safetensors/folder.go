package safetensors

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/finch-llm/finch/internal/mmap"
	"github.com/finch-llm/finch/internal/names"
)

// The names that transformers gives the files of a model.
const (
	SingleName = "model.safetensors"
	IndexName  = "model.safetensors.index.json"
)

// Folder is the tensors of a model, from one file or from shards.
type Folder struct {
	Name     string            // for messages: the path
	Metadata map[string]string // of all shards; the first one, by name, decides between different values
	Tensors  []*Tensor         // shards by name, each in the order of its data

	index names.Index
	files []*File
}

// OpenFolder maps the model in dir: model.safetensors, or else the shards that model.safetensors.index.json names. The
// index decides which tensors the model has: others in the shards are left out.
func OpenFolder(dir string) (*Folder, error) {
	f, err := Open(filepath.Join(dir, SingleName))
	if err == nil {
		return newFolder(dir, []*File{f}, nil)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	path := filepath.Join(dir, IndexName)
	m, err := mmap.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has neither %s nor %s: give the folder of a model in safetensors files", dir, SingleName, IndexName)
	}
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return openShards(dir, m.Bytes(), path)
}

// ParseFolder makes a folder of the one safetensors file in data, such as an embedded model.
func ParseFolder(data []byte, name string) (*Folder, error) {
	f, err := Parse(data, name)
	if err != nil {
		return nil, err
	}
	return newFolder(name, []*File{f}, nil)
}

// Close releases all mappings.
func (d *Folder) Close() error {
	var errs []error
	for _, f := range d.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

func (d *Folder) tensorName(i int) string { return d.Tensors[i].Name }

// Tensor finds a tensor by its name.
func (d *Folder) Tensor(name string) (*Tensor, bool) {
	i := d.index.Find(name, d.tensorName)
	if i < 0 {
		return nil, false
	}
	return d.Tensors[i], true
}

// shard is a file that an index names, and which of its tensors it names.
type shard struct {
	name  string
	file  *File
	named []bool
}

// newFolder puts the tensors together: of every file those that named marks, or all.
func newFolder(name string, files []*File, named [][]bool) (*Folder, error) {
	d := &Folder{Name: name, files: files}
	for i, f := range files {
		for k := range f.Tensors {
			if named == nil || named[i][k] {
				d.Tensors = append(d.Tensors, &f.Tensors[k])
			}
		}
		for key, value := range f.Metadata {
			if d.Metadata == nil {
				d.Metadata = map[string]string{}
			}
			if _, ok := d.Metadata[key]; !ok {
				d.Metadata[key] = value
			}
		}
	}
	d.index = names.New(len(d.Tensors), d.tensorName)
	if i := d.index.Duplicate(d.tensorName); i >= 0 {
		d.Close()
		return nil, fmt.Errorf("%s: the index names tensor %s in two shards", name, names.Quote(d.Tensors[i].Name))
	}
	return d, nil
}

// openShards opens the files that the index names.
func openShards(dir string, index []byte, path string) (*Folder, error) {
	var shards []*shard
	byName := map[string]*shard{}
	open := func(name string) (*shard, error) {
		if s, ok := byName[name]; ok {
			return s, nil
		}
		f, err := Open(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("shard %s is missing: copy or download it too", names.Quote(name))
		}
		if err != nil {
			return nil, err
		}
		s := &shard{name, f, make([]bool, len(f.Tensors))}
		shards, byName[name] = append(shards, s), s
		return s, nil
	}
	err := parseIndex(index, path, func(tensor, name string) error {
		s, err := open(name)
		if err != nil {
			return err
		}
		i := s.file.index.Find(tensor, s.file.tensorName)
		if i < 0 {
			return fmt.Errorf("shard %s lacks the tensor", name)
		}
		if s.named[i] {
			return errors.New("the tensor is there twice")
		}
		s.named[i] = true
		return nil
	})
	slices.SortFunc(shards, func(a, b *shard) int { return strings.Compare(a.name, b.name) })
	var files []*File
	var named [][]bool
	for _, s := range shards {
		files, named = append(files, s.file), append(named, s.named)
	}
	if err != nil {
		(&Folder{files: files}).Close()
		return nil, err
	}
	return newFolder(dir, files, named)
}

// parseIndex reads {"metadata": …, "weight_map": {"tensor": "shard", …}} and calls visit for every tensor.
func parseIndex(data []byte, path string, visit func(tensor, shard string) error) error {
	s := &scanner{path: path, data: data, what: "index"}
	if len(data) > maxHeader {
		return s.fail(0, "the index has %d bytes, more than %d are not allowed", len(data), maxHeader)
	}
	if err := s.checkText(); err != nil {
		return err
	}
	hasMap := false
	err := s.object(func(key []byte, at int) error {
		if string(key) != "weight_map" {
			return s.skip()
		}
		if hasMap {
			return s.fail(at, "weight_map is there twice")
		}
		hasMap = true
		return s.object(func(key []byte, at int) error {
			tensor := string(key)
			s.what, s.item = "tensor", tensor
			text, err := s.text()
			if err != nil {
				return err
			}
			shard := string(text)
			// The name comes with the model, from anywhere: it must not lead out of the folder.
			if strings.ContainsAny(shard, `/\`) || !filepath.IsLocal(shard) || shard == "." {
				return s.fail(at, "shard %s is not the name of a file in the folder", names.Quote(shard))
			}
			if err := visit(tensor, shard); err != nil {
				return s.fail(at, "%w", err)
			}
			s.what, s.item = "index", ""
			return nil
		})
	})
	if err != nil {
		return err
	}
	if !hasMap {
		return s.fail(0, "weight_map is missing")
	}
	return s.end()
}
