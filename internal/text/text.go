// Package text reads the texts that models are scored on and levels are fitted to: plain text, and collections of documents
// in JSON Lines and Parquet files.
package text

import (
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/finch-llm/finch/model/finchling"
)

// Source is a text by name.
type Source struct {
	Name  string // of the file: a path, builtin:calibration, builtin:evaluation, or, to be replaced by a path, hf://datasets/…
	Field string // of each document that has the text, in files of documents
}

// defaultField is what most data sets call the text.
const defaultField = "text"

// documentFiles are the endings of files whose documents have fields.
var documentFiles = []string{".jsonl", ".jsonl.gz", ".parquet"}

// Parse splits a name into file and field: "corpus.jsonl#content" is the field content of every document of corpus.jsonl.
func Parse(name string) (Source, error) {
	if i := strings.LastIndexByte(name, '#'); i >= 0 && hasDocuments(name[:i]) {
		if name[i+1:] == "" {
			return Source{}, fmt.Errorf("%s: after # comes the field that has the text: write %s#%s", name, name[:i], defaultField)
		}
		return Source{name[:i], name[i+1:]}, nil
	}
	return Source{name, defaultField}, nil
}

func hasDocuments(name string) bool {
	for _, ending := range documentFiles {
		if strings.HasSuffix(strings.ToLower(name), ending) {
			return true
		}
	}
	return false
}

// Documents reads the text from its start, whenever it is ranged over: the documents of a file of documents in the order of
// the file, without empty ones, else all of it as one. After an error there are no more.
func (s Source) Documents() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		switch name := strings.ToLower(s.Name); {
		case s.Name == "builtin:calibration":
			yield(finchling.Calibration, nil)
		case s.Name == "builtin:evaluation":
			yield(finchling.Evaluation, nil)
		case strings.HasSuffix(name, ".jsonl"), strings.HasSuffix(name, ".jsonl.gz"):
			readJSONL(s.Name, s.Field, yield)
		case strings.HasSuffix(name, ".parquet"):
			readParquet(s.Name, s.Field, yield)
		default:
			yield(readPlain(s.Name))
		}
	}
}

// readPlain reads a file of UTF-8.
func readPlain(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", notThere(err)
	}
	if !utf8.Valid(data) {
		return "", fmt.Errorf("%s is not UTF-8 text: documents are read from files whose names end in %s", filepath.Base(path), strings.Join(documentFiles, ", "))
	}
	return string(data), nil
}

// notThere says what a text is.
func notThere(err error) error {
	return fmt.Errorf("a text is a file, builtin:calibration, builtin:evaluation or hf://datasets/ORG/NAME/FILE: %w", err)
}

// open opens a file of documents.
func open(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, notThere(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file: save it to disk first", path)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}
