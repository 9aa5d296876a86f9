package cmd_test

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/hubtest"
	"github.com/finch-llm/finch/internal/testmodel"
)

// online runs finch with a hub of this machine.
func online(t *testing.T, h *hubtest.Hub, cache, dir string, args ...string) result {
	t.Helper()
	c, r := command(t, dir, args...)
	c.Env = append(os.Environ(), "HF_ENDPOINT="+h.Hub.URL, "HF_HUB_CACHE="+cache, "HF_HUB_OFFLINE=0", "HF_TOKEN=")
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return r()
}

// filesOf are the files in a folder.
func filesOf(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(folder, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestPull(t *testing.T) {
	files := filesOf(t, testmodel.Folder(t, testmodel.Llama(1, 2, 64, 96, testmodel.Vocab)))
	h, cache, dir := hubtest.New(t, "org/name", files), t.TempDir(), t.TempDir()
	cut := false
	meddle := func(w http.ResponseWriter, r *http.Request, name string, data []byte) bool {
		if strings.HasPrefix(r.URL.Path, "/cdn/") && !cut {
			cut = true
			hubtest.CutOff(w, r, data, 1000)
		}
		return false
	}
	h.Change(func() { h.Meddle = meddle })

	r := online(t, h, cache, dir, "pull", "org/name")
	where := filepath.Join(cache, "models--org--name", "snapshots", h.Commit)
	if r.code != 0 || r.stdout != where+"\n" {
		t.Fatalf("exit code %d, stdout %q\n%s", r.code, r.stdout, r.stderr)
	}
	for _, want := range []string{"config.json: 0.0 MiB of 0.0 MiB\n", "model.safetensors broke off after 1000 of ", "trying again in 1s\n", "model.safetensors: 0."} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("stderr lacks %q:\n%s", want, r.stderr)
		}
	}
	asked := len(h.Asked())

	// The other commands take it from the cache, by the same name, and without the hub.
	write(t, dir, "text.jsonl", strings.Repeat(`{"body": "the cat sat on the mat"}`+"\n", 40))
	byPath := online(t, h, cache, dir, "eval", where, "--data", "text.jsonl#body", "--context", "64")
	byName := online(t, h, cache, dir, "eval", "hf://org/name", "--data", "text.jsonl#body", "--context", "64")
	if _, scores, _ := strings.Cut(byPath.stdout, "\n"); byName.code != 0 || scores == "" || !strings.HasSuffix(byName.stdout, scores) || !strings.HasPrefix(byName.stdout, "hf://org/name on text.jsonl#body") {
		t.Errorf("exit code %d, by path\n%sby name\n%s%s", byName.code, byPath.stdout, byName.stdout, byName.stderr)
	}
	if r := online(t, h, cache, dir, "inspect", "hf://org/name"); r.code != 0 || !strings.Contains(r.stdout, "llama") {
		t.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	if requests := h.Asked(); len(requests) != asked {
		t.Errorf("the hub was asked for %q", requests[asked:])
	}

	// An experiment brings its model.
	write(t, dir, "experiments.toml", "[[experiment]]\nname = \"x\"\nmodel = \"hf://org/name\"\nlevels = [\"q4_0\", \"q8_0\"]\nbudget = { bits_per_weight = 6.0 }\ncalibration = { tokens = 8192 }\nevaluation = { tokens = 1024 }\n")
	fresh := t.TempDir()
	if r := online(t, h, fresh, dir, "plan"); r.code != 0 || !strings.Contains(r.stderr, "model.safetensors: 0.") {
		t.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	meddle = func(w http.ResponseWriter, r *http.Request, _ string, _ []byte) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	h.Change(func() { h.Meddle = meddle })
	online(t, h, t.TempDir(), dir, "plan").fails(t, 1, "finch: experiments.toml:3: hf://org/name: the hub answers 403 Forbidden: the token in HF_TOKEN may not read it")
}

func TestPullDataset(t *testing.T) {
	text := strings.Repeat(`{"text": "the cat sat on the mat"}`+"\n", 400)
	h, dir := hubtest.New(t, "datasets/org/name", map[string][]byte{"data/train.jsonl": []byte(text)}), t.TempDir()
	r := online(t, h, t.TempDir(), dir, "eval", "builtin:finchling", "--data", "hf://datasets/org/name/data/train.jsonl", "--context", "64", "--chunks", "2")
	if r.code != 0 || !strings.Contains(r.stdout, "2 chunks of 64 tokens") || !strings.Contains(r.stderr, "data/train.jsonl: 0.0 MiB of 0.0 MiB") {
		t.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// import brings its model and its text, and a folder that it writes has the files of the model's tokenizer.
func TestImportFromHub(t *testing.T) {
	dir, folder := t.TempDir(), soundFolder(t)
	write(t, dir, "drop.txt", "attn\nnone\n")
	files := filesOf(t, folder)
	beside := map[string]string{
		"chat_template.jinja": "{{ messages }}", "chat_template.json": `{"chat_template": "{{ messages }}"}`,
		"generation_config.json": `{"eos_token_id": [1, 2]}`, "tokenizer_config.json": `{"model_max_length": 512}`,
	}
	for name, content := range beside {
		files[name] = []byte(content)
	}
	h := hubtest.New(t, "org/name", files)
	r := online(t, h, t.TempDir(), dir, "import", "drop.txt", "--model", "hf://org/name", "--format", "safetensors", "-o", "out")
	if r.code != 0 || !strings.Contains(r.stderr, "model.safetensors: 0.") || !strings.Contains(r.stdout, "hf://org/name as in drop.txt") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	beside["tokenizer.json"] = string(files["tokenizer.json"])
	for name, want := range beside {
		if got, err := os.ReadFile(filepath.Join(dir, "out", name)); err != nil || string(got) != want {
			t.Errorf("%s: %.40q, %v", name, got, err)
		}
	}

	write(t, dir, "bits.txt", layersOf(func(int) int { return 4 }))
	text := strings.Repeat(`{"text": "the cat sat on the mat"}`+"\n", 6000)
	h = hubtest.New(t, "datasets/org/name", map[string][]byte{"train.jsonl": []byte(text)})
	r = online(t, h, t.TempDir(), dir, "import", "bits.txt", "--model", folder, "--level", "gptq-int%d-g32", "--data", "hf://datasets/org/name/train.jsonl", "-o", "fitted")
	if r.code != 0 || !strings.Contains(r.stderr, "train.jsonl: 0.") {
		t.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

func TestPullMistakes(t *testing.T) {
	h, cache, dir := hubtest.New(t, "org/name", map[string][]byte{"a.gguf": nil, "b.gguf": nil}), t.TempDir(), t.TempDir()
	for name, c := range map[string]struct {
		code int
		want []string
	}{
		"name":              {2, []string{"an organisation and a name", "write hf://ORG/NAME"}},
		"org/other":         {1, []string{"hf://org/other: the hub answers 401 Unauthorized: there is no such repository, or it is private"}},
		"org/name":          {1, []string{"2 GGUF models: name one, such as hf://org/name/a.gguf"}},
		"hf://org/name@dev": {1, []string{"hf://org/name@dev: the hub answers"}},
	} {
		online(t, h, cache, dir, "pull", name).fails(t, c.code, c.want...)
	}
	finch(t, dir, "pull", "org/name").fails(t, 1, "HF_HUB_OFFLINE is set")
	finch(t, dir, "generate", "hf://org/name").fails(t, 1, "unset HF_HUB_OFFLINE, and 'finch pull hf://org/name' brings it")
	finch(t, dir, "generate", "hf://datasets/org/name/a.jsonl").fails(t, 2, "hf://datasets/org/name/a.jsonl is of a data set: a model is hf://ORG/NAME")
	for data, c := range map[string]struct {
		code int
		want string
	}{
		"hf://org/name":                     {2, "hf://org/name is a model: a text is hf://datasets/ORG/NAME/FILE"},
		"hf://datasets/org":                 {2, "write hf://ORG/NAME"},
		"hf://datasets/org/name/a.jsonl#ab": {1, "'finch pull hf://datasets/org/name/a.jsonl' brings it"},
	} {
		finch(t, dir, "eval", "builtin:finchling", "--data", data).fails(t, c.code, c.want)
	}
}

// A folder made of a model of the hub has its tokenizer's files, which lie in the cache.
func TestHubModelIsExported(t *testing.T) {
	files := map[string][]byte{"tokenizer_config.json": []byte("{}\n")}
	folder := testmodel.Folder(t, testmodel.Llama(1, 2, 64, 96, testmodel.Vocab))
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
	}
	h, cache, dir := hubtest.New(t, "org/name", files), t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "drops.txt"), []byte("none\nnone\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := online(t, h, cache, dir, "pull", "org/name"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	if r := online(t, h, cache, dir, "import", "drops.txt", "--model", "hf://org/name", "--format", "safetensors", "-o", "out"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		if got, err := os.ReadFile(filepath.Join(dir, "out", name)); err != nil || string(got) != string(files[name]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
