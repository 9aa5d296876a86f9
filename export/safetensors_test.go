package export

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/testmodel"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
)

// writeFolder writes the files of a folder, checks their sizes, and returns it with their sum.
func writeFolder(t *testing.T, format Format, n *model.Network) (dir string, size int64) {
	t.Helper()
	files, err := format.Files(n)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), written(t, f), 0o644); err != nil {
			t.Fatal(err)
		}
		size += f.Bytes
	}
	return dir, size
}

// rounded is what a network computes with every weight rounded to bf16.
func rounded(m *model.Model, n *model.Network) (*model.Model, *model.Network) {
	round := func(w *kernels.Matrix) *kernels.Matrix {
		out := &kernels.Matrix{Format: kernels.BF16, Rows: w.Rows, Cols: w.Cols}
		row := make([]float32, w.Cols)
		for r := range w.Rows {
			kernels.Unpack(row, w, r)
			for _, x := range row {
				out.Data = binary.LittleEndian.AppendUint16(out.Data, roundBF16(x))
			}
		}
		return out
	}
	copied := *m
	copied.Embedding, copied.Head = round(m.Embedding), round(m.Head)
	r := n.Clone()
	for b := range r.Blocks {
		for _, k := range m.Kinds() {
			r.Blocks[b].Layers[k] = round(r.Blocks[b].Layers[k])
		}
	}
	return &copied, r
}

// withTokenizer gives a folder made of a GGUF file, which has none, a tokenizer, for finch to load it.
func withTokenizer(t *testing.T, dir string) string {
	t.Helper()
	source := testmodel.Folder(t, testmodel.Llama(1, 1, 64, 96, testmodel.Vocab))
	text, err := os.ReadFile(filepath.Join(source, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSafetensors(t *testing.T) {
	for name, m := range sources(t) {
		for _, shard := range []int64{shardBytes, 40000} {
			t.Run(fmt.Sprint(name, shard), func(t *testing.T) {
				target, err := newSafetensors(m)
				if err != nil {
					t.Fatal(err)
				}
				target.shard = shard
				whole, err := Size(target, &m.Network)
				if err != nil {
					t.Fatal(err)
				}
				target.fixed += whole - promised(t, target, &m.Network) // for the other size of shards
				n, sum := candidate(t, rand.New(rand.NewPCG(1, 0)), m, target, "bf16", "q4_0", "int3-g32", "sparse-0.60", "sparse-0.50+q4_0")
				dir, size := writeFolder(t, target, n)
				if size != sum {
					t.Errorf("%d bytes, promised were %d", size, sum)
				}
				if shards, _ := filepath.Glob(filepath.Join(dir, "model-*.safetensors")); len(shards) > 0 != (shard != shardBytes) {
					t.Errorf("shards: %v", shards)
				}
				written := open(t, withTokenizer(t, dir))
				closeTo(t, m, n, written)

				// A block, and sublayers, of which the first stays a block.
				drop(n, 0)
				n.Blocks[1].DropMLP = true
				dir, size = writeFolder(t, target, n)
				if sum := promised(t, target, n); size > sum || m.Blocks-1 != open(t, withTokenizer(t, dir)).Blocks {
					t.Errorf("%d bytes, at most %d were promised", size, sum)
				}
				closeTo(t, m, n, open(t, dir))
			})
		}
	}
}

// closeTo wants a folder to predict what the rounded network does.
func closeTo(t *testing.T, m *model.Model, n *model.Network, written *model.Model) {
	t.Helper()
	portable, err := kernels.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	was, network := rounded(m, n)
	want, got := logits(t, was, network, portable), logits(t, written, &written.Network, portable)
	if d := difference(got, want); !(d <= 1e-5) {
		t.Errorf("logits differ by %g of the largest", d)
	}
}

func TestConfigIsKept(t *testing.T) {
	dir := testmodel.Folder(t, testmodel.Llama(1, 3, 64, 96, testmodel.Vocab))
	path := filepath.Join(dir, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "{", `{"dtype":"float32","layer_types":["full_attention","sliding_attention","full_attention"],"rope_scaling":null,"x":9007199254740993,`, 1))
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	m := open(t, dir)
	target, err := For("safetensors", m)
	if err != nil {
		t.Fatal(err)
	}
	n := m.Network.Clone()
	drop(n, 1)
	out, _ := writeFolder(t, target, n)
	var config map[string]json.RawMessage
	if text, err = os.ReadFile(filepath.Join(out, "config.json")); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"num_hidden_layers": "2", "torch_dtype": `"bfloat16"`, "x": "9007199254740993", "rope_scaling": "null", "dtype": "", "model_type": `"llama"`,
	} {
		if string(config[key]) != want {
			t.Errorf("%s is %s, want %s", key, config[key], want)
		}
	}
	if got := strings.Join(strings.Fields(string(config["layer_types"])), ""); got != `["full_attention","full_attention"]` {
		t.Errorf("layer_types is %s", got)
	}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "model.safetensors"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
}

// runTransformers prints the logits that transformers has in float32, of every folder in turn.
const runTransformers = `
import sys, torch
from transformers import AutoModelForCausalLM
ids = torch.tensor([[int(x) for x in sys.argv[1].split(",")]])
for folder in sys.argv[2:]:
    m = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        sys.stdout.buffer.write(m(ids).logits[0].numpy().astype("<f4").tobytes())
`

// transformersLogits are what transformers computes with each folder, one after the other.
func transformersLogits(t *testing.T, python string, ids []int32, folders ...string) []float32 {
	t.Helper()
	list := strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ","), "[]")
	run := exec.Command(python, append([]string{"-c", runTransformers, list}, folders...)...)
	var errs strings.Builder
	run.Stderr = &errs
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	all := make([]float32, len(out)/4)
	for i := range all {
		all[i] = math.Float32frombits(binary.LittleEndian.Uint32(out[4*i:]))
	}
	return all
}

// difference is max |a − b| / max |b|; infinite if they are not equally long.
func difference(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	worst, largest := 0.0, 0.0
	for i := range b {
		worst, largest = max(worst, math.Abs(float64(a[i])-float64(b[i]))), max(largest, math.Abs(float64(b[i])))
	}
	return worst / largest
}

// TestTransformersOracle has transformers load exported folders: its logits are finch's.
func TestTransformersOracle(t *testing.T) {
	python := pythonWith(t, "transformers, torch")
	portable, err := kernels.Select("portable")
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range sources(t) {
		if name == "k-quants" {
			continue // as huggingface
		}
		target, err := For("safetensors", m)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := candidate(t, rand.New(rand.NewPCG(4, 0)), m, target, "q4_0", "sparse-0.60", "int4-g32")
		drop(n, 0)
		n.Blocks[1].DropAttn, n.Blocks[m.Blocks-1].DropMLP = true, true
		dir, _ := writeFolder(t, target, n)
		got := transformersLogits(t, python, testmodel.Tokens(9, 24, testmodel.Vocab), dir) // as logits has them
		read := open(t, withTokenizer(t, dir))
		d := difference(got, logits(t, read, &read.Network, portable))
		t.Logf("%s: logits differ by %g of the largest", name, d)
		if !(d <= 1e-5) {
			t.Errorf("%s: logits differ by %g of the largest", name, d)
		}
	}
}

// Every setting of a GGUF either goes into the config.json that is made of it, or is refused.
func TestMadeConfigLosesNothing(t *testing.T) {
	m := *open(t, testmodel.GGUF(t, testmodel.Llama(4, 2, 64, 96, testmodel.Vocab)))
	plain, err := madeConfig(&m)
	if err != nil {
		t.Fatal(err)
	}
	fields := reflect.TypeFor[model.Config]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		if name == "Name" || name == "RopeInterleaved" { // a label; the layout, which the weights follow
			continue
		}
		other := m
		switch v := reflect.ValueOf(&other.Config).Elem().Field(i); v.Kind() {
		case reflect.String:
			v.SetString("mistral")
		case reflect.Int:
			v.SetInt(v.Int() + 2)
		case reflect.Float64:
			v.SetFloat(v.Float() + 0.5)
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
		default:
			v.SetUint(v.Uint() + 1)
		}
		if config, err := madeConfig(&other); err == nil && bytes.Equal(config, plain) {
			t.Errorf("another %s makes no difference", name)
		}
	}
}
