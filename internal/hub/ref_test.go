package hub

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/finch-llm/finch/internal/hubtest"
)

func TestParseRef(t *testing.T) {
	for s, want := range map[string]Ref{
		"hf://org/name":                                      {Repo: "org/name", Revision: "main"},
		"hf://models/org/name":                               {Repo: "org/name", Revision: "main"},
		"hf://org/name.v1@v2.0":                              {Repo: "org/name.v1", Revision: "v2.0"},
		"hf://org/name/sub/m.gguf":                           {Repo: "org/name", Revision: "main", Path: "sub/m.gguf"},
		"hf://org/name@a%2Fb/m.gguf":                         {Repo: "org/name", Revision: "a/b", Path: "m.gguf"},
		"hf://org/name@refs/pr/12":                           {Repo: "org/name", Revision: "refs/pr/12"},
		"hf://datasets/o/n@refs/convert/parquet/a/0.parquet": {Dataset: true, Repo: "o/n", Revision: "refs/convert/parquet", Path: "a/0.parquet"},
		"hf://datasets/o/n/a b.txt":                          {Dataset: true, Repo: "o/n", Revision: "main", Path: "a b.txt"},
	} {
		got, err := ParseRef(s)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
		if again, err := ParseRef(got.String()); err != nil || again != want {
			t.Errorf("%s: written as %s: %+v, %v", s, got, again, err)
		}
	}
	for s, want := range map[string]string{
		"org/name":                  "does not begin with hf://",
		"hf://gpt2":                 "an organisation and a name",
		"hf:///name":                "an organisation and a name",
		"hf://org/@main":            "an organisation and a name",
		"hf://org/na--me":           `no such name as "na--me"`,
		"hf://../name":              `no such name as ".."`,
		"hf://or g/name":            `no such name as "or g"`,
		"hf://spaces/org/name":      "spaces hold no models",
		"hf://org/name@":            `"" is no revision`,
		"hf://org/name@../x":        `".." is no revision`,
		"hf://org/name@..%2F..%2Fx": `no revision`,
		"hf://org/name/../m.gguf":   "is no path",
		"hf://org/name/":            "is no path",
		"hf://org/name/model.bin":   "a model in one file is a .gguf",
		"hf://datasets/org/name":    "one is to be named",
	} {
		_, err := ParseRef(s)
		wantError(t, err, want, "write hf://ORG/NAME")
	}
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"hf://org/name", "hf://datasets/o/n@refs/convert/parquet/a.parquet", "hf://o/n@a%2Fb/m.gguf", "hf://o/n@refs/pr/1x/m.gguf", "hf://o/n@%25/m.gguf"} {
		f.Add(s)
	}
	c := newClient(f, map[string]string{"HF_HUB_CACHE": "cache", "HF_HOME": "home"})
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRef(s)
		if err != nil {
			return
		}
		if again, err := ParseRef(r.String()); err != nil || again != r {
			t.Fatalf("%q is %+v, written as %q it is %+v, %v", s, r, r.String(), again, err)
		}
		for _, path := range []string{c.folder(r), filepath.Join(c.folder(r), "refs", filepath.FromSlash(r.Revision)), filepath.Join(c.snapshot(r, "commit"), filepath.FromSlash(r.Path))} {
			if rel, err := filepath.Rel(c.Cache, path); err != nil || !filepath.IsLocal(rel) || rel == "." {
				t.Fatalf("%q leads to %s", s, path)
			}
		}
	})
}

// FuzzTree: no listing of files panics or leads out of the cache.
func FuzzTree(f *testing.F) {
	f.Add([]byte(`[{"type": "file", "path": "m.gguf", "size": 3, "oid": "`+strings.Repeat("0", 40)+`", "lfs": {"oid": "`+strings.Repeat("a", 64)+`", "size": 5}}]`), `<http://x/y>; rel="next"`)
	f.Add([]byte(`[{"type": "file", "path": "../m.gguf", "size": -3}]`), "")
	f.Add([]byte(`{}`), `<%zz>; rel=next`)
	f.Fuzz(func(t *testing.T, body []byte, link string) {
		c := newClient(t, map[string]string{"HF_HUB_CACHE": "cache", "HF_HOME": "home"})
		first := true
		c.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			page := "[]"
			if first {
				first, page = false, string(body)
			}
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Link": {link}}, Body: io.NopCloser(strings.NewReader(page)), Request: r}, nil
		})
		files, err := c.tree(context.Background(), Ref{Repo: "org/name", Revision: "main"}, strings.Repeat("0", 40))
		if err != nil {
			return
		}
		for _, file := range files {
			if !filepath.IsLocal(filepath.FromSlash(file.path)) || !blobHash.MatchString(file.hash) || file.size < 0 {
				t.Fatalf("%+v", file)
			}
		}
	})
}

// choose has the needed files and no others, by what there is.
func TestChoose(t *testing.T) {
	for name, c := range map[string]struct {
		ref  string
		have []string
		want []string
		says string
	}{
		"one file of weights": {"hf://o/n", []string{"config.json", "model.safetensors", "model.safetensors.index.json", "m.gguf", "tokenizer.model", "x.json"}, []string{"config.json", "tokenizer.model", "model.safetensors"}, ""},
		"shards":              {"hf://o/n", []string{"config.json", "model.safetensors.index.json"}, []string{"config.json", "model.safetensors.index.json"}, ""},
		"one GGUF":            {"hf://o/n", []string{"README.md", "m.gguf"}, []string{"m.gguf"}, ""},
		"one of several":      {"hf://o/n/b.gguf", []string{"a.gguf", "b.gguf", "config.json", "model.safetensors"}, []string{"b.gguf"}, ""},
		"any part":            {"hf://o/n/m-00002-of-00002.gguf", []string{"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}, []string{"m-00002-of-00002.gguf", "m-00001-of-00002.gguf"}, ""},
		"several":             {"hf://o/n", []string{"b.gguf", "a-00001-of-00002.gguf", "a-00002-of-00002.gguf"}, nil, "2 GGUF models: name one, such as hf://o/n/a-00001-of-00002.gguf: there are a-00001-of-00002.gguf, b.gguf"},
		"a part is missing":   {"hf://o/n/m-00001-of-00002.gguf", []string{"m-00001-of-00002.gguf"}, nil, "not all parts of m-00001-of-00002.gguf: m-00002-of-00002.gguf is missing"},
		"no such GGUF":        {"hf://o/n/c.gguf", []string{"a.gguf", "README.md"}, nil, "no file c.gguf, but a.gguf"},
		"another format":      {"hf://o/n", []string{"config.json", "pytorch_model.bin"}, nil, "neither config.json with model.safetensors nor a .gguf file, but config.json, pytorch_model.bin"},
		"nothing":             {"hf://o/n", nil, nil, "but nothing like it"},
	} {
		got, err := choose(parse(t, c.ref), c.have)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
		if c.says == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.says != "" {
			wantError(t, err, c.says)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	for name, c := range map[string]struct {
		env                               map[string]string
		endpoint, cache, tokenFile, token string
		offline                           bool
	}{
		"none":     {nil, "https://huggingface.co", "/home/me/.cache/huggingface/hub", "/home/me/.cache/huggingface/token", "", false},
		"home":     {map[string]string{"HF_HOME": "~/hf", "HF_TOKEN": " t\n", "HF_HUB_OFFLINE": "yes"}, "https://huggingface.co", "/home/me/hf/hub", "/home/me/hf/token", "t", true},
		"cache":    {map[string]string{"HF_HUB_CACHE": "$WORK/hub", "WORK": "/w", "HF_HUB_OFFLINE": "0"}, "https://huggingface.co", "/w/hub", "/home/me/.cache/huggingface/token", "", false},
		"xdg":      {map[string]string{"XDG_CACHE_HOME": "/x", "HF_TOKEN_PATH": "/t"}, "https://huggingface.co", "/x/huggingface/hub", "/t", "", false},
		"endpoint": {map[string]string{"HF_ENDPOINT": "http://localhost:8080/hf/", "TRANSFORMERS_OFFLINE": "1"}, "http://localhost:8080/hf", "/home/me/.cache/huggingface/hub", "/home/me/.cache/huggingface/token", "", true},
	} {
		got := newClient(t, c.env)
		if got.Endpoint != c.endpoint || got.Cache != c.cache || got.tokenFile != c.tokenFile || got.token != c.token || got.Offline != c.offline {
			t.Errorf("%s: %+v", name, got)
		}
	}
	_, err := New(func(name string) string { return map[string]string{"HF_ENDPOINT": "huggingface.co"}[name] })
	wantError(t, err, `HF_ENDPOINT is "huggingface.co": write the address`)
}

func TestTokenFile(t *testing.T) {
	h, home := hubtest.New(t, "org/name", sharded()), t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "token"), []byte("of the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, map[string]string{"HF_ENDPOINT": h.Hub.URL, "HF_HOME": home})
	pull(t, c, "hf://org/name")
	if got := h.Tokens[h.Hub.Listener.Addr().String()]; got != "Bearer of the file" {
		t.Errorf("the token is %q", got)
	}
}

func TestOffline(t *testing.T) {
	h, cache := hubtest.New(t, "org/name", sharded()), t.TempDir()
	c := client(t, h, cache, nil)
	dir := pull(t, c, "hf://org/name")
	asked := len(h.Requests)
	c.Offline = true
	if found, err := c.Fetch(context.Background(), parse(t, "hf://org/name")); err != nil || found != dir {
		t.Errorf("found %q, %v", found, err)
	}
	_, err := c.Fetch(context.Background(), parse(t, "hf://org/name@v2"))
	wantError(t, err, `hf://org/name@v2 is not in the cache `+cache, `no pull has asked for "v2"`, "unset HF_HUB_OFFLINE, and 'finch pull hf://org/name@v2' brings it")
	_, err = c.Pull(context.Background(), parse(t, "hf://org/name"))
	wantError(t, err, "HF_HUB_OFFLINE is set")
	if len(h.Requests) != asked {
		t.Errorf("the hub was asked for %q", h.Requests[asked:])
	}

	// A shard that has gone is missed, and brought again.
	if err := os.Remove(filepath.Join(cache, "models--org--name", "blobs", h.Hash("model-00002-of-00002.safetensors"))); err != nil {
		t.Fatal(err)
	}
	_, _, err = c.find(parse(t, "hf://org/name"))
	wantError(t, err, "model-00002-of-00002.safetensors is missing")
	c.Offline = false
	if _, err := c.Fetch(context.Background(), parse(t, "hf://org/name")); err != nil {
		t.Error(err)
	}
	wantFile(t, filepath.Join(dir, "model-00002-of-00002.safetensors"), h.Files["model-00002-of-00002.safetensors"])
}

func TestSleep(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	if err := sleep(ctx, time.Nanosecond); err != nil {
		t.Error(err)
	}
	stop()
	if err := sleep(ctx, time.Hour); err == nil {
		t.Error("it has slept")
	}
}

// roundTrip answers requests without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
