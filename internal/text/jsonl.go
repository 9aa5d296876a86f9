package text

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxDocument bounds what one document takes in memory; the longest books have some megabytes.
const maxDocument = 64 << 20

// readJSONL reads a JSON object on each line; blank lines are left out.
func readJSONL(path, field string, yield func(string, error) bool) {
	f, _, err := open(path)
	if err != nil {
		yield("", err)
		return
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(strings.ToLower(path), ".gz") {
		z, err := gzip.NewReader(bufio.NewReader(f))
		if err != nil {
			yield("", fmt.Errorf("%s is no gzip file: %w: unpack it, or name it .jsonl", path, err))
			return
		}
		defer z.Close()
		r = z
	}
	jsonl(r, path, field, yield)
}

func jsonl(r io.Reader, name, field string, yield func(string, error) bool) {
	source := &remembering{Reader: r}
	lines := bufio.NewScanner(source)
	lines.Buffer(nil, maxDocument)
	n := 0
	for lines.Scan() {
		n++
		line := lines.Bytes()
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		text, err := fieldOf(line, field)
		if source.err != nil { // the line is what came before it
			n--
			break
		}
		if err != nil {
			yield("", fmt.Errorf("%s:%d: %w", name, n, err))
			return
		}
		if text != "" && !yield(text, nil) {
			return
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		yield("", fmt.Errorf("%s:%d: the line has more than %d MiB: a file of JSON Lines has one document on each", name, n+1, maxDocument>>20))
	case errors.Is(err, io.ErrUnexpectedEOF):
		yield("", fmt.Errorf("%s:%d: the file ends within its gzip data: it was cut short, copy or download it again", name, n+1))
	case err != nil:
		yield("", fmt.Errorf("%s:%d: %w", name, n+1, err))
	}
}

// remembering keeps the error that ended it.
type remembering struct {
	io.Reader
	err error
}

func (r *remembering) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != io.EOF {
		r.err = err
	}
	return n, err
}

// fieldOf is the text in a field of a document, empty if it is null.
func fieldOf(line []byte, field string) (string, error) {
	if !utf8.Valid(line) {
		return "", errors.New("the line is not UTF-8: save the file as UTF-8")
	}
	var document map[string]json.RawMessage
	if err := json.Unmarshal(line, &document); err != nil || document == nil {
		return "", fmt.Errorf("the line is no JSON object (%v): write one document on each line, such as {%q: \"…\"}", err, defaultField)
	}
	value, ok := document[field]
	if !ok {
		return "", noField(field, slices.Sorted(maps.Keys(document)))
	}
	var text *string
	if err := json.Unmarshal(value, &text); err != nil {
		return "", fmt.Errorf("the field %q is no text but %.40s: name another with #FIELD after the file's name", field, value)
	}
	if text == nil {
		return "", nil
	}
	return *text, nil
}

// noField is the error for a field that documents lack.
func noField(field string, have []string) error {
	const most = 20
	if len(have) == 0 {
		return fmt.Errorf("there is no field %q, nor any other", field)
	}
	list := strings.Join(have[:min(most, len(have))], ", ")
	return fmt.Errorf("there is no field %q, but %.500s: name the one that has the text with #FIELD after the file's name", field, list)
}
