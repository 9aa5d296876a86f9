package safetensors

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/damaged"
)

func TestOpenFolder(t *testing.T) {
	d, err := OpenFolder("testdata/sharded")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var got []string
	for _, x := range d.Tensors {
		got = append(got, fmt.Sprintf("%s %s %d", x.Name, x.DType, x.Shape))
	}
	want := "model.embed_tokens.weight F32 [4 3]; model.norm.weight F32 [3]; lm_head.weight BF16 [4 3]"
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("tensors %s", s)
	}
	if x, ok := d.Tensor("model.norm.weight"); !ok || !bytes.Equal(x.Data, bytes.Repeat([]byte{0, 0, 0x80, 0x3f}, 3)) {
		t.Errorf("model.norm.weight: %+v, %v", x, ok)
	}
	if x, ok := d.Tensor("model.norm"); ok {
		t.Errorf("found %+v", x)
	}
	if d.Metadata["format"] != "pt" {
		t.Errorf("metadata %q", d.Metadata)
	}
}

func TestParseFolder(t *testing.T) {
	d, err := ParseFolder(raw(`{`+entry("a", "U8", "[2]", "[0,2]")+`}`, 2), "builtin")
	if err != nil {
		t.Fatal(err)
	}
	if x, ok := d.Tensor("a"); !ok || len(x.Data) != 2 {
		t.Errorf("%+v, %v", x, ok)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := ParseFolder(nil, "builtin"); err == nil {
		t.Error("no error for no data")
	}
}

func TestFolders(t *testing.T) {
	one := raw(`{`+entry("a", "U8", "[2]", "[0,2]")+`,`+entry("b", "U8", "[1]", "[2,3]")+`}`, 3)
	two := raw(`{`+entry("b", "U8", "[1]", "[0,1]")+`,`+entry("c", "U8", "[1]", "[1,2]")+`}`, 2)
	index := func(weightMap string) []byte { return []byte(`{"weight_map":{` + weightMap + `}}`) }
	type files map[string][]byte
	messages := make(map[string]string)
	for _, c := range []struct {
		name  string
		files files
		want  string // names of the tensors, or parts of the error
		fails bool
	}{
		{"empty folder", nil, "neither model.safetensors nor model.safetensors.index.json", true},
		{"single", files{SingleName: one}, "a b", false},
		{"single before shards", files{SingleName: one, IndexName: []byte("{")}, "a b", false},
		{"single damaged", files{SingleName: one[:20], IndexName: index("")}, "model.safetensors: header", true},
		{"shards in the order of their names", files{IndexName: index(`"c":"2","b":"2","a":"1"`), "1": one, "2": two}, "a b c", false},
		{"the index decides", files{IndexName: index(`"b":"1","c":"2"`), "1": one, "2": two}, "b c", false},
		{"no tensors", files{IndexName: index("")}, "", false},
		{"other keys are skipped", files{IndexName: []byte(`{"metadata":{"total_size":4.0e2,"x":[{"}":null}]},"weight_map":{"a":"1"},"z":true}`), "1": one}, "a", false},
		{"shard missing", files{IndexName: index(`"a":"1","c":"2"`), "1": one}, `index.json: tensor "c"|shard "2" is missing`, true},
		{"shard lacks the tensor", files{IndexName: index(`"a":"1","c":"1"`), "1": one}, `index.json: tensor "c"|shard 1 lacks the tensor`, true},
		{"shard damaged", files{IndexName: index(`"a":"1"`), "1": one[:20]}, "1: header (byte 0)", true},
		{"tensor twice in the index", files{IndexName: index(`"a":"1","a":"1"`), "1": one}, `tensor "a"|twice`, true},
		{"tensor in two shards", files{IndexName: index(`"b":"1","b":"2"`), "1": one, "2": two}, `names tensor "b" in two shards`, true},
		{"shard outside", files{IndexName: index(`"a":"../1"`)}, `shard "../1" is not the name of a file in the folder`, true},
		{"shard absolute", files{IndexName: index(`"a":"/etc/passwd"`)}, "is not the name of a file", true},
		{"shard the folder", files{IndexName: index(`"a":"."`)}, "is not the name of a file", true},
		{"shard without a name", files{IndexName: index(`"a":""`)}, "is not the name of a file", true},
		{"shard no text", files{IndexName: index(`"a":1`)}, `tensor "a"|'1' where a string`, true},
		{"no weight map", files{IndexName: []byte(`{"metadata":{}}`)}, "weight_map is missing", true},
		{"two weight maps", files{IndexName: []byte(`{"weight_map":{},"weight_map":{}}`)}, "weight_map is there twice", true},
		{"index not JSON", files{IndexName: []byte(`weights`)}, "index (byte 0)|'w' where an object", true},
		{"index empty", files{IndexName: nil}, "index (byte 0)|JSON ends", true},
		{"index cut", files{IndexName: []byte(`{"metadata":{"a":[1,2`)}, "JSON ends", true},
		{"index not UTF-8", files{IndexName: []byte("{\"\xff\":1}")}, "not UTF-8", true},
		{"index with text after", files{IndexName: []byte(`{"weight_map":{}} x`)}, "after the end", true},
		{"index with a bad value", files{IndexName: []byte(`{"metadata":nul,"weight_map":{}}`)}, "not JSON", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, data := range c.files {
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d, err := OpenFolder(dir)
			if c.fails {
				if err == nil {
					t.Fatal("no error")
				}
				for part := range strings.SplitSeq(c.want, "|") {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("message %q lacks %q", err, part)
					}
				}
				messages[c.name] = strings.TrimPrefix(err.Error(), dir+string(filepath.Separator))
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			var got []string
			for _, x := range d.Tensors {
				got = append(got, x.Name)
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("tensors %s, want %s", s, c.want)
			}
		})
	}
	damaged.Check(t, "../../docs/reliability.md", "safetensors in shards", 2, messages)
}
