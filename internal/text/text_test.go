package text

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/finch-llm/finch/internal/damaged"
)

func parse(t testing.TB, name string) Source {
	t.Helper()
	s, err := Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// all reads every document.
func all(documents iter.Seq2[string, error]) (list []string, err error) {
	for document, err := range documents {
		if err != nil {
			return list, err
		}
		list = append(list, document)
	}
	return list, nil
}

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func compressed(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestParse(t *testing.T) {
	for name, want := range map[string]Source{
		"a.txt":                         {"a.txt", "text"},
		"a#b.txt":                       {"a#b.txt", "text"},
		"a.jsonl":                       {"a.jsonl", "text"},
		"a.JSONL#content":               {"a.JSONL", "content"},
		"C#.jsonl":                      {"C#.jsonl", "text"},
		"C#.jsonl.gz#x#y":               {"C#.jsonl.gz#x#y", "text"},
		"a.parquet#a b":                 {"a.parquet", "a b"},
		"hf://datasets/o/n/a.parquet#b": {"hf://datasets/o/n/a.parquet", "b"},
		"builtin:evaluation":            {"builtin:evaluation", "text"},
	} {
		if got := parse(t, name); got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, err := Parse("a.jsonl#"); err == nil || !strings.Contains(err.Error(), "write a.jsonl#text") {
		t.Errorf("%v", err)
	}
}

func TestJSONL(t *testing.T) {
	data := []byte("\ufeff{\"text\": \"a\\nb\", \"other\": [1]}\n\n{\"text\": \"\"}\r\n{\"text\": null}\n{\"other\": 1, \"text\": \"größer\"}")
	for name, content := range map[string][]byte{"a.jsonl": data, "a.jsonl.gz": compressed(t, data), "b.jsonl.gz": append(compressed(t, data[:3]), compressed(t, data[3:])...)} {
		got, err := all(parse(t, write(t, name, content)).Documents())
		if err != nil || !slices.Equal(got, []string{"a\nb", "größer"}) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestPlain(t *testing.T) {
	for _, content := range []string{"one\n\ntwo", ""} {
		got, err := all(parse(t, write(t, "a.raw", []byte(content))).Documents())
		if err != nil || !slices.Equal(got, []string{content}) {
			t.Errorf("%q, %v", got, err)
		}
	}
	for _, name := range []string{"builtin:calibration", "builtin:evaluation"} {
		if got, err := all(parse(t, name).Documents()); err != nil || len(got) != 1 || len(got[0]) < 10_000 {
			t.Errorf("%s: %d documents, %v", name, len(got), err)
		}
	}
}

// What pyarrow has written (tools/golden/texts.py) is read in every encoding.
func TestParquet(t *testing.T) {
	data, err := os.ReadFile("testdata/documents.json")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	for _, name := range parquetFiles {
		got, err := all(parse(t, "testdata/"+name).Documents())
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %d documents %q, %v", name, len(got), got, err)
		}
		n := 0
		for range parse(t, "testdata/"+name).Documents() { // may be left
			if n++; n == 3 {
				break
			}
		}
	}
}

// tracked are pages that know what has been done with them.
type tracked struct {
	parquet.Pages
	closed, held int
}

func (p *tracked) Close() error {
	p.closed++
	return p.Pages.Close()
}

func (p *tracked) ReadPage() (parquet.Page, error) {
	page, err := p.Pages.ReadPage()
	if err != nil {
		return nil, err
	}
	p.held++
	return &trackedPage{page, p}, nil
}

type trackedPage struct {
	parquet.Page
	of *tracked
}

func (p *trackedPage) Release() { p.of.held-- }

func TestParquetIsClosed(t *testing.T) {
	f, err := os.Open("testdata/snappy.parquet")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	column, err := openColumn(f, info.Size(), "text")
	if err != nil {
		t.Fatal(err)
	}
	for name, most := range map[string]int{"to the end": math.MaxInt, "left": 3} {
		pages := &tracked{Pages: column.file.RowGroups()[0].ColumnChunks()[column.index].Pages()}
		n := 0
		err := readPages(pages, "text", func(string) bool { n++; return n < most })
		if left := most == n; left != (err == errStopped) || n < 3 || pages.closed != 1 || pages.held != 0 {
			t.Errorf("%s: %v after %d values, closed %d times, %d pages held", name, err, n, pages.closed, pages.held)
		}
	}
}

var parquetFiles = []string{"snappy.parquet", "plain.parquet", "v2.parquet", "gzip.parquet"}

func TestMistakes(t *testing.T) {
	snappy, err := os.ReadFile("testdata/snappy.parquet")
	if err != nil {
		t.Fatal(err)
	}
	damaged := func(at int) string { return string(snappy[:at]) + strings.Repeat("\xff", 40) + string(snappy[at+40:]) }
	good := `{"text": "a"}` + "\n"
	for name, c := range map[string]struct {
		file  string
		data  string
		field string
		want  string
	}{
		"no object":         {"a.jsonl", good + "[1]\n", "", "a.jsonl:2: the line is no JSON object"},
		"null":              {"a.jsonl", good + "null\n", "", "a.jsonl:2: the line is no JSON object"},
		"cut line":          {"a.jsonl", good + `{"text": "a`, "", "a.jsonl:2: the line is no JSON object (unexpected end"},
		"no such field":     {"a.jsonl", good + "\n" + `{"b": 1, "a": 2}`, "", `a.jsonl:3: there is no field "text", but a, b: name the one that has the text with #FIELD`},
		"no field":          {"a.jsonl", "{}", "", `a.jsonl:1: there is no field "text", nor any other`},
		"a number":          {"a.jsonl", `{"n": 12}`, "n", `a.jsonl:1: the field "n" is no text but 12: name another`},
		"not UTF-8":         {"a.jsonl", good + "{\"text\": \"\xff\"}", "", "a.jsonl:2: the line is not UTF-8"},
		"no gzip":           {"a.jsonl.gz", good, "", "a.jsonl.gz is no gzip file"},
		"gzip cut":          {"a.jsonl.gz", string(compressed(t, []byte(good))[:20]), "", "cut short, copy or download it again"},
		"plain not UTF-8":   {"a.txt", "a\xff", "", "a.txt is not UTF-8 text: documents are read from files whose names end in .jsonl"},
		"no Parquet":        {"a.parquet", "PAR1 and some more text", "", "a.parquet: it does not end as a Parquet file does"},
		"short Parquet":     {"a.parquet", "PAR1", "", "a.parquet: it is too short"},
		"Parquet cut":       {"a.parquet", string(snappy[:len(snappy)-9]), "", "a.parquet: it does not end"},
		"page damaged":      {"a.parquet", damaged(360), "", "row 1: the file is damaged (decoding page 0"},
		"index damaged":     {"a.parquet", damaged(920), "", "row 21: the file is damaged (runtime error"}, // a panic of the library
		"metadata damaged":  {"a.parquet", damaged(1520), "", "it is no Parquet file that can be read"},
		"no such column":    {"a.parquet", string(snappy), "content", `there is no field "content", but id, text: name the one`},
		"column of numbers": {"a.parquet", string(snappy), "id", `column "id" is no text but INT`},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, c.file, []byte(c.data))
			if c.field != "" {
				path += "#" + c.field
			}
			_, err := all(parse(t, path).Documents())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
	for name, want := range map[string]string{
		"nowhere.txt":               "a text is a file, builtin:calibration",
		"nowhere.jsonl":             "a text is a file, builtin:calibration",
		"nowhere.parquet":           "a text is a file, builtin:calibration",
		t.TempDir() + "/../x.jsonl": "a text is a file",
	} {
		if _, err := all(parse(t, name).Documents()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// letters has a token for every byte.
type letters struct{ prefix, eos int32 }

func (l letters) Prefix() int32 { return l.prefix }
func (l letters) EOS() int32    { return l.eos }
func (l letters) Encode(text string) (ids []int32) {
	for _, b := range []byte(text) {
		ids = append(ids, int32(b))
	}
	return ids
}

func TestTokens(t *testing.T) {
	documents := func(list ...string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for _, d := range list {
				if !yield(d, nil) {
					return
				}
			}
			yield("", fmt.Errorf("read to its end"))
		}
	}
	for name, c := range map[string]struct {
		of    letters
		limit int
		want  []int32
	}{
		"BOS":         {letters{1, 2}, 4, []int32{'a', 1, 'b', 'c'}},
		"EOS":         {letters{-1, 2}, 4, []int32{'a', 2, 'b', 'c'}},
		"neither":     {letters{-1, -1}, 4, []int32{'a', '\n', '\n', 'b', 'c'}},
		"part of one": {letters{1, 2}, 3, []int32{'a', 1, 'b', 'c'}},
		"one":         {letters{1, 2}, 1, []int32{'a'}},
	} {
		if got, err := Tokens(c.of, documents("a", "bc", "d"), c.limit); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := Tokens(letters{1, 2}, documents("a"), 2); err == nil {
		t.Error("the error is lost")
	}
}

func FuzzJSONL(f *testing.F) {
	f.Add([]byte(`{"text": "a"}`+"\n\n"+`{"text": null}`), "text")
	f.Add([]byte("\ufeff{\"a\": {\"text\": 1}}"), "a")
	f.Fuzz(func(t *testing.T, data []byte, field string) {
		size := 0
		n := damaged.Allocated(func() {
			jsonl(bytes.NewReader(data), "fuzz", field, func(text string, err error) bool {
				size += len(text)
				return true
			})
		})
		if size > 3*len(data) { // \u0000 in six bytes becomes one, and never a byte three
			t.Fatalf("%d bytes of text from %d", size, len(data))
		}
		if n > uint64(16*len(data)+16<<20) {
			t.Fatalf("allocated %d bytes in all for %d", n, len(data))
		}
	})
}

// FuzzParquet: damage is an error, never a panic, and does not take memory that the file has no need of: a page may be
// maxDocument long, of which a small file can have few.
func FuzzParquet(f *testing.F) {
	for _, name := range parquetFiles {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var failed error
		n := damaged.Allocated(func() {
			parquetColumn(bytes.NewReader(data), int64(len(data)), "fuzz", "text", func(_ string, err error) bool {
				if failed != nil {
					t.Fatal("it goes on after an error")
				}
				failed = err
				return true
			})
		})
		if n > 4*maxDocument {
			t.Fatalf("allocated %d bytes for a file of %d", n, len(data))
		}
	})
}
