package hub

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeHub is a hub with one repository, and beside it the server that it redirects to for large files.
type fakeHub struct {
	hub, cdn *httptest.Server
	page     string // org/name, datasets/org/name

	// Tests change these between pulls.
	commit string
	files  map[string][]byte
	large  func(name string) bool
	meddle func(w http.ResponseWriter, r *http.Request, name string, data []byte) bool // answers instead, if it returns true

	mu       sync.Mutex
	requests []string          // method, path, range
	tokens   map[string]string // by host: the last Authorization
}

func newFakeHub(t testing.TB, page string, files map[string][]byte) *fakeHub {
	h := &fakeHub{page: page, commit: strings.Repeat("a1", 20), files: files, tokens: map[string]string{}}
	h.large = func(name string) bool {
		return slices.Contains([]string{".safetensors", ".gguf", ".parquet"}, path.Ext(name))
	}
	h.hub, h.cdn = httptest.NewServer(http.HandlerFunc(h.serveHub)), httptest.NewServer(http.HandlerFunc(h.serveCDN))
	t.Cleanup(h.hub.Close)
	t.Cleanup(h.cdn.Close)
	return h
}

// client is one of the hub, with a cache, that does not wait. The pauses that it would make are appended to pauses.
func (h *fakeHub) client(t testing.TB, cache string, pauses *[]time.Duration) *Client {
	t.Helper()
	c := newClient(t, map[string]string{"HF_ENDPOINT": h.hub.URL, "HF_HUB_CACHE": cache, "HF_TOKEN": "secret"})
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

// hash is the name of a file's blob.
func (h *fakeHub) hash(name string) string {
	if data := h.files[name]; h.large(name) {
		return fmt.Sprintf("%x", sha256.Sum256(data))
	} else {
		return fmt.Sprintf("%x", sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...)))
	}
}

func (h *fakeHub) note(r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Range")))
	h.tokens[r.Host] = r.Header.Get("Authorization")
}

// downloads are the requests for files so far.
func (h *fakeHub) downloads() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []string
	for _, r := range h.requests {
		if strings.HasPrefix(r, "GET /cdn/") || strings.HasPrefix(r, "GET /"+h.page+"/resolve/") && !h.large(strings.Fields(r)[1]) {
			list = append(list, r)
		}
	}
	return list
}

func (h *fakeHub) serveHub(w http.ResponseWriter, r *http.Request) {
	h.note(r)
	api := "/api/" + h.page
	if !strings.HasPrefix(h.page, "datasets/") {
		api = "/api/models/" + h.page
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, "/"+h.page+"/resolve/"); ok {
		revision, name, _ := strings.Cut(rest, "/")
		data, ok := h.files[name]
		if !ok || revision != h.commit && revision != "main" {
			w.Header().Set("X-Error-Code", "EntryNotFound")
			http.Error(w, "", http.StatusNotFound)
			return
		}
		w.Header().Set("X-Repo-Commit", h.commit)
		if h.large(name) {
			w.Header().Set("X-Linked-Etag", `"`+h.hash(name)+`"`)
			w.Header().Set("X-Linked-Size", fmt.Sprint(len(data)))
			w.Header().Set("Location", h.cdn.URL+"/cdn/"+name)
		} else {
			w.Header().Set("Etag", `"`+h.hash(name)+`"`)
		}
		switch {
		case h.meddle != nil && h.meddle(w, r, name, data):
		case h.large(name):
			w.WriteHeader(http.StatusFound)
		default:
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		}
		return
	}
	if h.meddle != nil && h.meddle(w, r, "", nil) {
		return
	}
	switch {
	case r.URL.Path == api || r.URL.Path == api+"/revision/main":
		answer(w, map[string]any{"id": strings.TrimPrefix(h.page, "datasets/"), "sha": h.commit})
	case strings.HasPrefix(r.URL.Path, api+"/tree/"+h.commit):
		h.serveTree(w, r, strings.Trim(strings.TrimPrefix(r.URL.Path, api+"/tree/"+h.commit), "/"))
	default:
		w.Header().Set("X-Error-Code", "RepoNotFound")
		http.Error(w, "", http.StatusUnauthorized)
	}
}

// serveTree lists files, two to a page.
func (h *fakeHub) serveTree(w http.ResponseWriter, r *http.Request, dir string) {
	var list []map[string]any
	for _, name := range slices.Sorted(maps.Keys(h.files)) {
		if within := path.Dir(name); within != dir && (within != "." || dir != "") && r.URL.Query().Get("recursive") == "" {
			continue
		}
		e := map[string]any{"type": "file", "path": name, "size": len(h.files[name]), "oid": h.hash(name)}
		if h.large(name) {
			e["oid"] = strings.Repeat("0", 40) // of the pointer
			e["lfs"] = map[string]any{"oid": h.hash(name), "size": len(h.files[name]), "pointerSize": 134}
		}
		list = append(list, e, map[string]any{"type": "directory", "path": "folder", "size": 0, "oid": strings.Repeat("0", 40)})
	}
	at := 0
	fmt.Sscan(r.URL.Query().Get("cursor"), &at)
	if end := at + 2; end < len(list) {
		next := *r.URL
		next.RawQuery = url.Values{"recursive": r.URL.Query()["recursive"], "cursor": {fmt.Sprint(end)}}.Encode()
		w.Header().Set("Link", fmt.Sprintf(`<%s%s>; rel="next"`, h.hub.URL, next.String()))
		list = list[:end]
	}
	answer(w, list[min(at, len(list)):])
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func (h *fakeHub) serveCDN(w http.ResponseWriter, r *http.Request) {
	h.note(r)
	name := strings.TrimPrefix(r.URL.Path, "/cdn/")
	w.Header().Set("Etag", `"of the store"`)
	if h.meddle == nil || !h.meddle(w, r, name, h.files[name]) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(h.files[name]))
	}
}

// onCDN meddles with downloads of large files only, the nth of them counted from 1.
func onCDN(meddle func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool) func(http.ResponseWriter, *http.Request, string, []byte) bool {
	nth := 0
	return func(w http.ResponseWriter, r *http.Request, name string, data []byte) bool {
		if !strings.HasPrefix(r.URL.Path, "/cdn/") {
			return false
		}
		nth++
		return meddle(w, r, data, nth)
	}
}

// cutOff sends the headers of an answer, some bytes of the body, and closes the connection.
func cutOff(w http.ResponseWriter, r *http.Request, data []byte, n int) {
	recorder := httptest.NewRecorder()
	http.ServeContent(recorder, r, "", time.Time{}, bytes.NewReader(data))
	maps.Copy(w.Header(), recorder.Header())
	w.WriteHeader(recorder.Code)
	w.Write(recorder.Body.Bytes()[:min(n, recorder.Body.Len())])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// noise is n bytes that do not repeat.
func noise(n int, seed byte) []byte {
	data := make([]byte, 0, n+32)
	for block := sha256.Sum256([]byte{seed}); len(data) < n; block = sha256.Sum256(block[:]) {
		data = append(data, block[:]...)
	}
	return data[:n]
}
