// Package hubtest is a Hugging Face hub on this machine, for tests: it answers as the hub does, and lies when it is told to.
package hubtest

import (
	"bytes"
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

// Hub is a hub with one repository, and beside it the server that it redirects to for large files.
type Hub struct {
	Hub, CDN *httptest.Server
	page     string // org/name, datasets/org/name

	// Tests change these between pulls, those that pull in another process by Change.
	Commit string
	Files  map[string][]byte
	Large  func(name string) bool
	Meddle func(w http.ResponseWriter, r *http.Request, name string, data []byte) bool // answers instead, if it returns true

	mu       sync.Mutex
	Requests []string          // method, path, range
	Tokens   map[string]string // by host: the last Authorization
}

func New(t testing.TB, page string, files map[string][]byte) *Hub {
	h := &Hub{page: page, Commit: strings.Repeat("a1", 20), Files: files, Tokens: map[string]string{}}
	h.Large = func(name string) bool {
		return slices.Contains([]string{".safetensors", ".gguf", ".parquet"}, path.Ext(name))
	}
	h.Change(func() {
		h.Hub, h.CDN = httptest.NewServer(http.HandlerFunc(h.serveHub)), httptest.NewServer(http.HandlerFunc(h.serveCDN))
	})
	t.Cleanup(h.Hub.Close)
	t.Cleanup(h.CDN.Close)
	return h
}

// Change runs a function that changes fields of the hub, before the requests that follow.
func (h *Hub) Change(change func()) {
	h.mu.Lock() // which every request takes first
	defer h.mu.Unlock()
	change()
}

// Asked are the requests so far.
func (h *Hub) Asked() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.Requests)
}

// Hash is the name of a file's blob.
func (h *Hub) Hash(name string) string {
	if data := h.Files[name]; h.Large(name) {
		return fmt.Sprintf("%x", sha256.Sum256(data))
	} else {
		return fmt.Sprintf("%x", sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...)))
	}
}

func (h *Hub) note(r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Requests = append(h.Requests, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Range")))
	h.Tokens[r.Host] = r.Header.Get("Authorization")
}

// Downloads are the requests for files so far.
func (h *Hub) Downloads() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []string
	for _, r := range h.Requests {
		if strings.HasPrefix(r, "GET /cdn/") || strings.HasPrefix(r, "GET /"+h.page+"/resolve/") && !h.Large(strings.Fields(r)[1]) {
			list = append(list, r)
		}
	}
	return list
}

func (h *Hub) serveHub(w http.ResponseWriter, r *http.Request) {
	h.note(r)
	api := "/api/" + h.page
	if !strings.HasPrefix(h.page, "datasets/") {
		api = "/api/models/" + h.page
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, "/"+h.page+"/resolve/"); ok {
		revision, name, _ := strings.Cut(rest, "/")
		data, ok := h.Files[name]
		if !ok || revision != h.Commit && revision != "main" {
			w.Header().Set("X-Error-Code", "EntryNotFound")
			http.Error(w, "", http.StatusNotFound)
			return
		}
		w.Header().Set("X-Repo-Commit", h.Commit)
		if h.Large(name) {
			w.Header().Set("X-Linked-Etag", `"`+h.Hash(name)+`"`)
			w.Header().Set("X-Linked-Size", fmt.Sprint(len(data)))
			w.Header().Set("Location", h.CDN.URL+"/cdn/"+name)
		} else {
			w.Header().Set("Etag", `"`+h.Hash(name)+`"`)
		}
		switch {
		case h.Meddle != nil && h.Meddle(w, r, name, data):
		case h.Large(name):
			w.WriteHeader(http.StatusFound)
		default:
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		}
		return
	}
	if h.Meddle != nil && h.Meddle(w, r, "", nil) {
		return
	}
	switch {
	case r.URL.Path == api || r.URL.Path == api+"/revision/main":
		Answer(w, map[string]any{"id": strings.TrimPrefix(h.page, "datasets/"), "sha": h.Commit})
	case strings.HasPrefix(r.URL.Path, api+"/tree/"+h.Commit):
		h.serveTree(w, r, strings.Trim(strings.TrimPrefix(r.URL.Path, api+"/tree/"+h.Commit), "/"))
	default:
		w.Header().Set("X-Error-Code", "RepoNotFound")
		http.Error(w, "", http.StatusUnauthorized)
	}
}

// serveTree lists files, two to a page.
func (h *Hub) serveTree(w http.ResponseWriter, r *http.Request, dir string) {
	var list []map[string]any
	for _, name := range slices.Sorted(maps.Keys(h.Files)) {
		if within := path.Dir(name); within != dir && (within != "." || dir != "") && r.URL.Query().Get("recursive") == "" {
			continue
		}
		e := map[string]any{"type": "file", "path": name, "size": len(h.Files[name]), "oid": h.Hash(name)}
		if h.Large(name) {
			e["oid"] = strings.Repeat("0", 40) // of the pointer
			e["lfs"] = map[string]any{"oid": h.Hash(name), "size": len(h.Files[name]), "pointerSize": 134}
		}
		list = append(list, e, map[string]any{"type": "directory", "path": "folder", "size": 0, "oid": strings.Repeat("0", 40)})
	}
	at := 0
	fmt.Sscan(r.URL.Query().Get("cursor"), &at)
	if end := at + 2; end < len(list) {
		next := *r.URL
		next.RawQuery = url.Values{"recursive": r.URL.Query()["recursive"], "cursor": {fmt.Sprint(end)}}.Encode()
		w.Header().Set("Link", fmt.Sprintf(`<%s%s>; rel="next"`, h.Hub.URL, next.String()))
		list = list[:end]
	}
	Answer(w, list[min(at, len(list)):])
}

// Answer sends JSON.
func Answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func (h *Hub) serveCDN(w http.ResponseWriter, r *http.Request) {
	h.note(r)
	name := strings.TrimPrefix(r.URL.Path, "/cdn/")
	w.Header().Set("Etag", `"of the store"`)
	if h.Meddle == nil || !h.Meddle(w, r, name, h.Files[name]) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(h.Files[name]))
	}
}

// OnCDN meddles with downloads of large files only, the nth of them counted from 1.
func OnCDN(meddle func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool) func(http.ResponseWriter, *http.Request, string, []byte) bool {
	nth := 0
	return func(w http.ResponseWriter, r *http.Request, name string, data []byte) bool {
		if !strings.HasPrefix(r.URL.Path, "/cdn/") {
			return false
		}
		nth++
		return meddle(w, r, data, nth)
	}
}

// CutOff sends the headers of an answer, some bytes of the body, and closes the connection.
func CutOff(w http.ResponseWriter, r *http.Request, data []byte, n int) {
	recorder := httptest.NewRecorder()
	http.ServeContent(recorder, r, "", time.Time{}, bytes.NewReader(data))
	maps.Copy(w.Header(), recorder.Header())
	w.WriteHeader(recorder.Code)
	w.Write(recorder.Body.Bytes()[:min(n, recorder.Body.Len())])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// Noise is n bytes that do not repeat.
func Noise(n int, seed byte) []byte {
	data := make([]byte, 0, n+32)
	for block := sha256.Sum256([]byte{seed}); len(data) < n; block = sha256.Sum256(block[:]) {
		data = append(data, block[:]...)
	}
	return data[:n]
}
