package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/finch-llm/finch/internal/hubtest"
)

func parse(t testing.TB, s string) Ref {
	t.Helper()
	r, err := ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// client is one of a hub, with a cache, that does not wait. The pauses that it would make are appended to pauses.
func client(t testing.TB, h *hubtest.Hub, cache string, pauses *[]time.Duration) *Client {
	t.Helper()
	c := newClient(t, map[string]string{"HF_ENDPOINT": h.Hub.URL, "HF_HUB_CACHE": cache, "HF_TOKEN": "secret"})
	c.wait = func(ctx context.Context, d time.Duration) error {
		if pauses != nil {
			*pauses = append(*pauses, d)
		}
		return ctx.Err()
	}
	return c
}

func newClient(t testing.TB, env map[string]string) *Client {
	t.Helper()
	c, err := New(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func pull(t testing.TB, c *Client, ref string) string {
	t.Helper()
	path, err := c.Pull(context.Background(), parse(t, ref))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// wantFile wants a file in the cache with this content.
func wantFile(t testing.TB, path string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes, %v, want %d", path, len(got), err, len(want))
	}
}

// wantBlobs wants these files in the folder of blobs, and no others.
func wantBlobs(t testing.TB, cache, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(cache, folder, "blobs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("blobs %q, want %q", got, want)
	}
}

// sharded is a model in two shards, with files that nobody needs.
func sharded() map[string][]byte {
	index := `{"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}`
	return map[string][]byte{
		"config.json": []byte(`{"model_type": "llama"}`), "tokenizer.json": []byte("{}"), "README.md": []byte("read me"),
		"pytorch_model.bin": hubtest.Noise(99, 9), "consolidated.safetensors": hubtest.Noise(99, 8), "original/params.json": []byte("{}"),
		"model.safetensors.index.json":     []byte(index),
		"model-00001-of-00002.safetensors": hubtest.Noise(100_000, 1), "model-00002-of-00002.safetensors": hubtest.Noise(300_001, 2),
	}
}

func TestPullFolder(t *testing.T) {
	h, cache := hubtest.New(t, "org/name", sharded()), t.TempDir()
	c := client(t, h, cache, nil)
	dir := pull(t, c, "hf://org/name")
	if want := filepath.Join(cache, "models--org--name", "snapshots", h.Commit); dir != want {
		t.Fatalf("it is in %s, not in %s", dir, want)
	}
	needed := []string{"config.json", "tokenizer.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}
	var blobs []string
	for _, name := range needed {
		wantFile(t, filepath.Join(dir, name), h.Files[name])
		blobs = append(blobs, h.Hash(name))
		if to, err := os.Readlink(filepath.Join(dir, name)); err != nil || to != filepath.Join("..", "..", "blobs", h.Hash(name)) {
			t.Errorf("%s is a link to %q, %v", name, to, err)
		}
	}
	wantBlobs(t, cache, "models--org--name", blobs...)
	wantFile(t, filepath.Join(cache, "models--org--name", "refs", "main"), []byte(h.Commit))
	if names, err := present(dir); err != nil || len(names) != len(needed) {
		t.Errorf("files %q, %v", names, err)
	}
	if found, _, err := c.find(parse(t, "hf://org/name")); err != nil || found != dir {
		t.Errorf("found %q, %v", found, err)
	}
	if found, _, err := c.find(parse(t, "hf://models/org/name@"+h.Commit)); err != nil || found != dir {
		t.Errorf("found by its commit %q, %v", found, err)
	}

	for _, host := range []string{h.Hub.Listener.Addr().String(), h.CDN.Listener.Addr().String()} {
		want := map[string]string{h.Hub.Listener.Addr().String(): "Bearer secret"}[host]
		if got, there := h.Tokens[host]; got != want || !there {
			t.Errorf("%s has seen the token %q, want %q", host, got, want)
		}
	}

	n := len(h.Downloads())
	if again := pull(t, c, "hf://org/name"); again != dir || len(h.Downloads()) != n {
		t.Errorf("pulled again, it is in %s, after %d more downloads", again, len(h.Downloads())-n)
	}

	// A new commit of the same weights brings what is new, and the old one stays.
	h.Commit, h.Files["config.json"] = strings.Repeat("b2", 20), []byte(`{"model_type": "llama", "new": true}`)
	next := pull(t, c, "hf://org/name")
	wantFile(t, filepath.Join(next, "config.json"), h.Files["config.json"])
	wantFile(t, filepath.Join(dir, "config.json"), sharded()["config.json"])
	if got := h.Downloads(); len(got) != n+1 {
		t.Errorf("the new commit took %q", got[n:])
	}
}

func TestPullGGUF(t *testing.T) {
	files := map[string][]byte{"README.md": []byte("read me"), "big/m-00001-of-00002.gguf": hubtest.Noise(1000, 1), "big/m-00002-of-00002.gguf": hubtest.Noise(2000, 2)}
	h, cache := hubtest.New(t, "org/name", files), t.TempDir()
	c := client(t, h, cache, nil)
	want := filepath.Join(cache, "models--org--name", "snapshots", h.Commit, "big", "m-00001-of-00002.gguf")
	if path := pull(t, c, "hf://org/name"); path != want {
		t.Errorf("it is %s", path)
	}
	wantFile(t, want, files["big/m-00001-of-00002.gguf"])
	wantFile(t, strings.Replace(want, "00001-of", "00002-of", 1), files["big/m-00002-of-00002.gguf"])

	// With another one there, the repository alone no longer says which.
	h.Files["q4.gguf"] = hubtest.Noise(3000, 3)
	_, err := c.Fetch(context.Background(), parse(t, "hf://org/name"))
	if err == nil || !strings.Contains(err.Error(), "2 GGUF models: name one, such as hf://org/name/big/m-00001-of-00002.gguf: there are big/m-00001-of-00002.gguf, q4.gguf") {
		t.Errorf("%v", err)
	}
	if path, err := c.Fetch(context.Background(), parse(t, "hf://org/name/q4.gguf")); err != nil || filepath.Base(path) != "q4.gguf" {
		t.Errorf("%s, %v", path, err)
	}
}

func TestPullDataset(t *testing.T) {
	files := map[string][]byte{"data/train.parquet": hubtest.Noise(5000, 1), "data/test.parquet": hubtest.Noise(50, 2), "README.md": nil}
	h, cache := hubtest.New(t, "datasets/org/name", files), t.TempDir()
	c := client(t, h, cache, nil)
	path, err := c.Fetch(context.Background(), parse(t, "hf://datasets/org/name/data/train.parquet"))
	if want := filepath.Join(cache, "datasets--org--name", "snapshots", h.Commit, "data", "train.parquet"); err != nil || path != want {
		t.Fatalf("it is %s, %v", path, err)
	}
	wantFile(t, path, files["data/train.parquet"])
	wantFile(t, pull(t, c, "hf://datasets/org/name/README.md"), nil) // an empty file
	_, err = c.Pull(context.Background(), parse(t, "hf://datasets/org/name/data/dev.parquet"))
	if err == nil || !strings.Contains(err.Error(), "no file data/dev.parquet, but data/test.parquet, data/train.parquet") {
		t.Errorf("%v", err)
	}
}

// What a killed process has left, right or wrong, does no harm.
func TestPullGoesOn(t *testing.T) {
	data := hubtest.Noise(100_000, 1)
	for name, c := range map[string]struct {
		left []byte
		asks string
	}{
		"a part":      {data[:40_000], "bytes=40000-"},
		"all of it":   {data, ""},
		"other bytes": {hubtest.Noise(40_000, 2), "bytes=40000-"},
		"too much":    {append(slices.Clone(data), 1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			h, cache := hubtest.New(t, "org/name", map[string][]byte{"m.gguf": data}), t.TempDir()
			blob := filepath.Join(cache, "models--org--name", "blobs", h.Hash("m.gguf"))
			if err := os.MkdirAll(filepath.Dir(blob), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(blob+".incomplete", c.left, 0o666); err != nil {
				t.Fatal(err)
			}
			wantFile(t, pull(t, client(t, h, cache, nil), "hf://org/name/m.gguf"), data)
			wantBlobs(t, cache, "models--org--name", h.Hash("m.gguf"))
			switch got := h.Downloads(); {
			case name == "all of it" && got != nil:
				t.Errorf("it was brought again: %q", got)
			case name != "all of it" && got[0] != strings.TrimSpace("GET /cdn/m.gguf "+c.asks):
				t.Errorf("asked for %q", got)
			}
		})
	}
}

// Of two pulls at once, one waits and finds what the other has brought.
func TestPullsAtOnce(t *testing.T) {
	h, cache := hubtest.New(t, "org/name", map[string][]byte{"m.gguf": hubtest.Noise(100_000, 1)}), t.TempDir()
	waiting, once := make(chan bool), sync.Once{}
	h.Meddle = hubtest.OnCDN(func(http.ResponseWriter, *http.Request, []byte, int) bool { <-waiting; return false })
	first, second := client(t, h, cache, nil), client(t, h, cache, nil)
	second.Progress = watcher{wait: func(reason string) {
		if !strings.Contains(reason, "m.gguf: ") || !strings.Contains(reason, fmt.Sprintf("held by process %d", os.Getpid())) {
			t.Errorf("waits because %s", reason)
		}
		once.Do(func() { close(waiting) })
	}}
	second.wait = sleep
	done := make(chan error)
	go func() {
		_, err := first.Pull(context.Background(), parse(t, "hf://org/name"))
		done <- err
	}()
	for len(locked(cache)) == 0 { // the first one has begun
		time.Sleep(time.Millisecond)
	}
	go func() {
		_, err := second.Pull(context.Background(), parse(t, "hf://org/name"))
		done <- err
	}()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := h.Downloads(); len(got) != 1 {
		t.Errorf("brought by %q", got)
	}
}

func locked(cache string) []string {
	names, _ := filepath.Glob(filepath.Join(cache, "models--org--name", "blobs", "*.incomplete"))
	return names
}

// watcher is a Progress.
type watcher struct {
	wait func(string)
	at   func(int64)
}

func (w watcher) Begin(string, int64) {}
func (w watcher) End()                {}
func (w watcher) At(n int64) {
	if w.at != nil {
		w.at(n)
	}
}
func (w watcher) Wait(reason string) {
	if w.wait != nil {
		w.wait(reason)
	}
}

func TestPullNeedsRoom(t *testing.T) {
	h, cache := hubtest.New(t, "org/name", map[string][]byte{"m.gguf": nil}), t.TempDir()
	h.Meddle = func(w http.ResponseWriter, r *http.Request, name string, _ []byte) bool {
		if !strings.Contains(r.URL.Path, "/tree/") {
			return false
		}
		hubtest.Answer(w, []any{map[string]any{"type": "file", "path": "m.gguf", "oid": h.Hash("m.gguf"), "size": int64(1) << 60}})
		return true
	}
	_, err := client(t, h, cache, nil).Pull(context.Background(), parse(t, "hf://org/name"))
	if err == nil || !strings.Contains(err.Error(), "1099511627776 MiB are to come") || !strings.Contains(err.Error(), "HF_HUB_CACHE") {
		t.Errorf("%v", err)
	}
	if h.Downloads() != nil {
		t.Error("it has begun")
	}
}

// An interrupted pull keeps what has come, and the branch stays what it was.
func TestPullInterrupted(t *testing.T) {
	h, cache := hubtest.New(t, "org/name", map[string][]byte{"m.gguf": hubtest.Noise(1<<20, 1)}), t.TempDir()
	h.Meddle = hubtest.OnCDN(func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool {
		if nth == 1 {
			hubtest.CutOff(w, r, data, 100_000)
		}
		return false
	})
	ctx, stop := context.WithCancel(context.Background())
	c := client(t, h, cache, nil)
	c.Progress = watcher{wait: func(string) { stop() }}
	if _, err := c.Pull(ctx, parse(t, "hf://org/name")); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(cache, "models--org--name", "refs")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the branch is noted: %v", err)
	}
	wantFile(t, pull(t, client(t, h, cache, nil), "hf://org/name"), h.Files["m.gguf"])
	if got := h.Downloads(); !slices.Equal(got, []string{"GET /cdn/m.gguf", "GET /cdn/m.gguf bytes=100000-"}) {
		t.Errorf("asked for %q", got)
	}
}
