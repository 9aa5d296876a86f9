package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// maxFile bounds an experiment file; hundreds of experiments fit.
const maxFile = 256 << 10

// Decoder reads experiment files. The zero value knows finch's own levels and methods.
type Decoder struct {
	// Level says what a level name stands for; its error should say what to write instead. Nil means [ParseLevel].
	// The command line also asks the compressors, which know best.
	Level func(name string) (Trait, error)

	// Methods are the names that search.method may have. Nil means [Methods].
	Methods []string
}

// Methods lists finch's own search methods.
func Methods() []string {
	return []string{
		"finch", "evopress", "greedy", "dp", "dp-local", "lagrangian", "shortgpt", "shortened", "shortened-iterative",
		"sliding-window", "subcloning", "owl", "annealing", "genetic", "pareto", "random", "brute", "uniform",
	}
}

func (d Decoder) level(name string) (Trait, error) {
	if d.Level == nil {
		return ParseLevel(name)
	}
	return d.Level(name)
}

func (d Decoder) methods() []string {
	if d.Methods == nil {
		return Methods()
	}
	return d.Methods
}

// Load reads the experiment file at path. Errors are of type *[Error].
func Load(path string) (*File, error) { return Decoder{}.Load(path) }

// Parse reads an experiment file from memory; name is the file's name in errors.
func Parse(data []byte, name string) (*File, error) { return Decoder{}.Parse(data, name) }

// Load reads the experiment file at path.
func (d Decoder) Load(path string) (*File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{File: path, Message: "there is no such file: name an experiment file, such as experiments.toml", Err: err}
	}
	if err != nil {
		return nil, &Error{File: path, Message: fmt.Sprintf("cannot open the experiment file: %v", cause(err)), Err: err}
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, &Error{File: path, Message: "this is a folder: name the .toml file in it"}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, &Error{File: path, Message: fmt.Sprintf("cannot read the experiment file: %v", cause(err)), Err: err}
	}
	return d.Parse(data, path)
}

// cause is the system's reason without the path, which the error names already.
func cause(err error) error {
	if p := new(fs.PathError); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Parse reads an experiment file from memory; name is the file's name in errors.
func (d Decoder) Parse(data []byte, name string) (*File, error) {
	doc, root, err := parseTOML(data, name)
	if err != nil {
		return nil, err
	}
	f := &File{Path: name}
	base, schema := newExperiment(doc), d.schema()
	for _, s := range root.children() {
		switch s.name {
		case "defaults":
			s.key = "" // keys are named as within an experiment; the name comes first, and is none of them
			err = d.apply(base, s, schema[1:], "[defaults]")
		case "experiment":
		default:
			err = s.errorf("unknown key %s at the top of the file: %s", describe(s.name),
				d.elsewhere(s, []string{"defaults", "experiment"}))
		}
		if err != nil {
			return nil, err
		}
	}
	experiments, err := experimentTables(root)
	if err != nil {
		return nil, err
	}
	for _, s := range experiments {
		e := *base
		e.at = maps.Clone(base.at)
		if err := d.experiment(&e, s, schema); err != nil {
			return nil, err
		}
		for i := range f.Experiments {
			if other := &f.Experiments[i]; strings.EqualFold(other.Name, e.Name) {
				return nil, e.Errorf("name", "name %q is taken by the experiment at line %d: choose another, upper and lower case being one",
					e.Name, other.line())
			}
		}
		f.Experiments = append(f.Experiments, e)
	}
	return f, nil
}

func experimentTables(root setting) ([]setting, error) {
	const write = "write [[experiment]] on a line of its own, then its keys: name, levels, budget"
	if root.value.(map[string]any)["experiment"] == nil {
		return nil, &Error{File: root.doc.name, Message: "there is no experiment in the file: " + write}
	}
	s := root.child("experiment")
	tables, ok := s.items()
	switch {
	case !ok:
		return nil, s.errorf("experiment is %s: write [[experiment]], with two brackets each side", describe(s.value))
	case len(tables) == 0:
		return nil, s.errorf("experiment is an empty list: " + write)
	case len(tables) > maxExperiments:
		return nil, tables[maxExperiments].errorf("the file has %d experiments: split it, at most %d fit", len(tables), maxExperiments)
	}
	return tables, nil
}

// experiment reads one [[experiment]] into e, which holds the defaults.
func (d Decoder) experiment(e *Experiment, s setting, schema []field) error {
	e.at[""] = s.mark
	s.key = ""
	if err := d.apply(e, s, schema, "[[experiment]]"); err != nil {
		return err
	}
	var traits []offered
	for key, name := range e.LevelNames() {
		trait, err := d.level(name)
		if err != nil {
			return e.Errorf(key, "%s: %v", key, err)
		}
		traits = append(traits, offered{key, name, trait})
	}
	return e.check(traits)
}

// parseTOML checks what surrounds the syntax, then the syntax.
func parseTOML(data []byte, name string) (*document, setting, error) {
	fail := func(message string) (*document, setting, error) {
		return nil, setting{}, &Error{File: name, Message: message}
	}
	if len(data) > maxFile {
		return fail(fmt.Sprintf("the file is larger than %d KiB, the most an experiment file may have: is it really one?", maxFile>>10))
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return fail("the file is in UTF-16: save it as UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	doc := newDocument(name, string(data))
	if len(bytes.TrimSpace(data)) == 0 {
		return fail("the file is empty: write at least one [[experiment]] with name, levels and budget")
	}
	if i := invalidUTF8(data); i >= 0 {
		return nil, setting{}, doc.errorf(i, "the byte 0x%02x is not UTF-8: save the file as UTF-8", data[i])
	}
	root, err := locate(doc)
	if err != nil {
		return nil, setting{}, err
	}
	table := map[string]any{}
	if _, err := toml.Decode(doc.source, &table); err != nil {
		return nil, setting{}, syntaxError(doc, err)
	}
	return doc, setting{value: table, mark: root, doc: doc}, nil
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}
