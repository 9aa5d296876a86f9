package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"github.com/finch-llm/finch/internal/mmap"
	"github.com/finch-llm/finch/internal/names"
)

// The keys of llama-gguf-split. Each part of a split model is a GGUF file with some of the tensors; the first one also has
// the metadata of the model.
const (
	splitNoKey      = "split.no"            // uint16: which part, from 0
	splitCountKey   = "split.count"         // uint16: how many there are; 0 in a file that was merged again
	splitTensorsKey = "split.tensors.count" // int32: tensors in all parts
)

// part is what a file says of the split model that it belongs to.
type part struct {
	no, count int
	tensors   uint64
}

// suffix is what the name of part no (from 0) of count ends in.
func suffix(no, count int) string { return fmt.Sprintf("-%05d-of-%05d.gguf", no+1, count) }

// partOf reads the keys of a part; those of a model that is whole say that it is one of one.
func partOf(f *File) (part, error) {
	count, there := f.Get(splitCountKey)
	if !there {
		return part{count: 1}, nil
	}
	n, ok := count.Uint()
	if !ok || n > math.MaxUint16 {
		return part{}, fmt.Errorf("%s: key %s is no number of files: get the file anew", f.Name, splitCountKey)
	}
	if n <= 1 {
		return part{count: 1}, nil
	}
	no, ok := f.Uint(splitNoKey)
	if !ok || no >= n {
		return part{}, fmt.Errorf("%s: key %s is missing or not from 0 to %d, though the model is split into %d files: get the file anew", f.Name, splitNoKey, n-1, n)
	}
	tensors, ok := f.Uint(splitTensorsKey)
	if !ok {
		return part{}, fmt.Errorf("%s: key %s is missing or no count, though the model is split into %d files: get the file anew", f.Name, splitTensorsKey, n)
	}
	return part{int(no), int(n), tensors}, nil
}

// Parts are the names of all files of a split model, by that of any of them, in order; the name alone if it is none of a
// part's.
func Parts(name string) []string {
	cut := len(name) - len(suffix(0, 1))
	if cut < 0 {
		return []string{name}
	}
	var no, count int
	prefix, tail := name[:cut], name[cut:]
	if n, _ := fmt.Sscanf(tail, "-%05d-of-%05d", &no, &count); n < 2 || no < 1 || no > count || suffix(no-1, count) != tail {
		return []string{name}
	}
	all := make([]string, count)
	for i := range all {
		all[i] = prefix + suffix(i, count)
	}
	return all
}

// openParts opens the other parts of the model that first, a part itself, belongs to, and joins them. It closes what it
// opened when it fails, but not first.
func openParts(first *File, p part) (*File, error) {
	paths := Parts(first.Name)
	if len(paths) != p.count || paths[p.no] != first.Name {
		return nil, fmt.Errorf("%s: it is part %d of %d of a split model, whose name has to end in %q: give all parts the names that they had, or join them with llama-gguf-split --merge",
			first.Name, p.no+1, p.count, suffix(p.no, p.count))
	}
	parts := make([]*File, p.count)
	closeOthers := func() {
		for _, f := range parts {
			if f != nil && f != first {
				f.Close()
			}
		}
	}
	for i, path := range paths {
		var err error
		if i == p.no {
			parts[i] = first
		} else if parts[i], err = openOne(path); err != nil {
			closeOthers()
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("%s: part %d of %d of the model is missing: %w: copy or download it too", first.Name, i+1, p.count, err)
			}
			return nil, err
		}
	}
	f, err := join(parts)
	if err != nil {
		closeOthers()
		return nil, err
	}
	return f, nil
}

// join makes one file of the parts of a model, in their order.
func join(parts []*File) (*File, error) {
	whole := *parts[0]
	whole.Meta = slices.Clone(whole.Meta)
	whole.Tensors, whole.mappings = nil, nil
	var holder []int // the part of each tensor
	first, err := partOf(parts[0])
	if err != nil {
		return nil, err
	}
	for i, f := range parts {
		p, err := partOf(f)
		switch {
		case err != nil:
			return nil, err
		case p.count == 1:
			return nil, fmt.Errorf("%s is no part of a split model, though its name says so and %s is one: get it anew", f.Name, parts[0].Name)
		case p.count != len(parts) || p.tensors != first.tensors:
			return nil, fmt.Errorf("%s is one of %d parts with %d tensors, %s one of %d with %d: parts of different models are mixed, get them anew",
				f.Name, p.count, p.tensors, parts[0].Name, first.count, first.tensors)
		case p.no != i:
			return nil, fmt.Errorf("%s: it says that it is part %d, its name that it is part %d: give it the name that it had", f.Name, p.no+1, i+1)
		}
		for range f.Tensors {
			holder = append(holder, i)
		}
		whole.Tensors = append(whole.Tensors, f.Tensors...)
		whole.mappings = append(whole.mappings, f.mappings...)
	}
	whole.tensorIndex = names.New(len(whole.Tensors), whole.tensorName)
	if i := whole.tensorIndex.Duplicate(whole.tensorName); i >= 0 {
		return nil, fmt.Errorf("%s: tensor %s is in an earlier part too: parts of different models are mixed, get them anew",
			parts[holder[i]].Name, names.Quote(whole.tensorName(i)))
	}
	if n := len(whole.Tensors); uint64(n) != first.tensors {
		return nil, fmt.Errorf("%s: the %d parts of the model have %d tensors, %s says %d: parts of different models are mixed, get them anew",
			parts[0].Name, len(parts), n, splitTensorsKey, first.tensors)
	}
	whole.dropSplitKeys()
	return &whole, nil
}

// dropSplitKeys leaves out of the metadata what is true of files, and not of the model: what is made of it is one file.
func (f *File) dropSplitKeys() {
	f.Meta = slices.DeleteFunc(f.Meta, func(kv KV) bool {
		return kv.Key == splitNoKey || kv.Key == splitCountKey || kv.Key == splitTensorsKey
	})
	f.keyIndex = names.New(len(f.Meta), f.key)
}

// openOne maps and checks one file.
func openOne(path string) (*File, error) {
	f, m, err := mmap.Parse(path, Parse)
	if err != nil {
		return nil, err
	}
	f.mappings = []*mmap.File{m}
	return f, nil
}
