package hub

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/finch-llm/finch/internal/hubtest"
)

// Whatever goes wrong on the way, and is over after a while, the file arrives whole.
func TestPullThroughFaults(t *testing.T) {
	data := hubtest.Noise(1<<20, 1)
	status := func(code int, header ...string) func(http.ResponseWriter, *http.Request, []byte, int) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ []byte, nth int) bool {
			if nth > attempts-1 {
				return false
			}
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			return true
		}
	}
	seconds := func(list ...int) (pauses []time.Duration) {
		for _, s := range list {
			pauses = append(pauses, time.Duration(s)*time.Second)
		}
		return pauses
	}
	for name, c := range map[string]struct {
		meddle func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool
		asks   []string // for which bytes, "" for all
		pauses []time.Duration
	}{
		"connection cut": {
			func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool {
				if nth <= 7 { // more often than it would be tried in vain
					hubtest.CutOff(w, r, data, 100_000)
				}
				return false
			},
			[]string{"", "bytes=100000-", "bytes=200000-", "bytes=300000-", "bytes=400000-", "bytes=500000-", "bytes=600000-", "bytes=700000-"},
			seconds(1, 1, 1, 1, 1, 1, 1),
		},
		"connection cut before the answer": {
			func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool {
				if nth < attempts {
					panic(http.ErrAbortHandler)
				}
				return false
			},
			[]string{"", "", "", "", ""}, seconds(1, 2, 4, 8),
		},
		"a byte changed": {
			func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool {
				if nth > 1 {
					return false
				}
				data = slices.Clone(data)
				data[5000] ^= 1
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
				return true
			},
			[]string{"", ""}, seconds(1),
		},
		"range ignored": {
			func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool {
				if nth == 1 {
					hubtest.CutOff(w, r, data, 100_000)
				}
				w.Write(data)
				return true
			},
			[]string{"", "bytes=100000-"}, seconds(1),
		},
		"another range": {
			func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool {
				switch nth {
				case 1:
					hubtest.CutOff(w, r, data, 100_000)
				case 2:
					r.Header.Set("Range", "bytes=200000-")
				}
				return false
			},
			[]string{"", "bytes=100000-", ""}, seconds(1, 2),
		},
		"range refused": {
			func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool {
				switch nth {
				case 1:
					hubtest.CutOff(w, r, data, 100_000)
				case 2:
					w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
					return true
				}
				return false
			},
			[]string{"", "bytes=100000-", ""}, seconds(1, 2),
		},
		"too many bytes": {
			func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool {
				w.Write(append(slices.Clone(data), 1))
				return true
			},
			[]string{""}, nil,
		},
		"nothing comes": {
			func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool {
				if nth == 1 {
					w.Write(data[:100_000])
					w.(http.Flusher).Flush()
					<-r.Context().Done()
					return true
				}
				return false
			},
			[]string{"", "bytes=100000-"}, seconds(1),
		},
		"busy":                    {status(503), []string{"", "", "", "", ""}, seconds(1, 2, 4, 8)},
		"rate limit":              {status(429, "Retry-After", "7"), []string{"", "", "", "", ""}, seconds(7, 7, 7, 8)},
		"rate limit until a date": {status(429, "Retry-After", "Thu, 01 Jan 1970 00:01:30 GMT"), []string{"", "", "", "", ""}, seconds(30, 30, 30, 30)},
		"rate limit of the hub":   {status(429, "RateLimit", `"resolvers";r=0;t=55`), []string{"", "", "", "", ""}, seconds(55, 55, 55, 55)},
	} {
		t.Run(name, func(t *testing.T) {
			h, cache := hubtest.New(t, "org/name", map[string][]byte{"m.gguf": data}), t.TempDir()
			h.Meddle = hubtest.OnCDN(c.meddle)
			var pauses []time.Duration
			client := client(t, h, cache, &pauses)
			client.now = func() time.Time { return time.Unix(60, 0) }
			if name == "nothing comes" {
				client.stall = 100 * time.Millisecond
			}
			wantFile(t, pull(t, client, "hf://org/name"), data)
			wantBlobs(t, cache, "models--org--name", h.Hash("m.gguf"))
			var want []string
			for _, asks := range c.asks {
				want = append(want, strings.TrimSpace("GET /cdn/m.gguf "+asks))
			}
			if got := h.Downloads(); !slices.Equal(got, want) {
				t.Errorf("asked for %q, want %q", got, want)
			}
			if !slices.Equal(pauses, c.pauses) {
				t.Errorf("paused for %v, want %v", pauses, c.pauses)
			}
		})
	}
}

// What does not get better is an error that says what to do, and nothing is in the cache that is not right.
func TestPullGivesUp(t *testing.T) {
	data := hubtest.Noise(1<<20, 1)
	for name, c := range map[string]struct {
		meddle   func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool
		requests int
		want     []string
	}{
		"always damaged": {
			func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool {
				w.Write(hubtest.Noise(len(data), 3))
				return true
			},
			2, []string{"hf://org/name: m.gguf has come damaged", "twice: something between here and"},
		},
		"always busy": {
			func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool {
				w.WriteHeader(502)
				return true
			},
			attempts, []string{"502 Bad Gateway", "given up after 5 attempts", "what has come is kept"},
		},
		"always cut at once": {
			func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool {
				hubtest.CutOff(w, r, data, 0)
				return true
			},
			attempts, []string{"m.gguf broke off after 0 of 1048576 bytes: unexpected EOF", "given up"},
		},
		"a limit of an hour": {
			func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool {
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(429)
				return true
			},
			1, []string{"429 Too Many Requests", "asks to wait for 1h0m0s: try again then"},
		},
		"forbidden by the store": {
			func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool {
				w.WriteHeader(403)
				return true
			},
			1, []string{"403 Forbidden"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, cache := hubtest.New(t, "org/name", map[string][]byte{"m.gguf": data}), t.TempDir()
			h.Meddle = hubtest.OnCDN(c.meddle)
			_, err := client(t, h, cache, nil).Pull(context.Background(), parse(t, "hf://org/name"))
			wantError(t, err, c.want...)
			if got := h.Downloads(); len(got) != c.requests {
				t.Errorf("%d requests: %q", len(got), got)
			}
			wantBlobs(t, cache, "models--org--name", h.Hash("m.gguf")+".incomplete")
		})
	}
}

func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	for _, part := range want {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v: want %q", err, part)
		}
	}
}

// A file that is another one after the connection was cut is not put together of both.
func TestPullOfAChangedFile(t *testing.T) {
	h, cache := hubtest.New(t, "org/name", map[string][]byte{"m.gguf": hubtest.Noise(1<<20, 1)}), t.TempDir()
	old := h.Hash("m.gguf")
	h.Meddle = hubtest.OnCDN(func(w http.ResponseWriter, r *http.Request, data []byte, nth int) bool {
		if nth == 1 {
			h.Files["m.gguf"] = hubtest.Noise(1<<20, 2)
			hubtest.CutOff(w, r, data, 100_000)
		}
		return false
	})
	c := client(t, h, cache, nil)
	_, err := c.Pull(context.Background(), parse(t, "hf://org/name"))
	wantError(t, err, "hf://org/name: m.gguf has changed on the hub meanwhile: pull again")
	wantFile(t, pull(t, c, "hf://org/name"), h.Files["m.gguf"])
	wantBlobs(t, cache, "models--org--name", old+".incomplete", h.Hash("m.gguf"))
}

// Errors that asking again does not help are asked once.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		code    string
		message string
		at      string
		want    []string
	}{
		"no such repository": {401, "RepoNotFound", "Repository not found", "/revision/", []string{"no such repository, or it is private and HF_TOKEN is not set", "/org/name"}},
		"gated":              {403, "GatedRepo", "Access to model org/name is restricted", "/resolve/", []string{`403 Forbidden, "Access to model org/name is restricted"`, "asks for consent: give it at http", "set HF_TOKEN"}},
		"forbidden":          {403, "", "", "/tree/", []string{"the token in HF_TOKEN may not read it"}},
		"no such revision":   {404, "RevisionNotFound", "Invalid rev id", "/revision/", []string{`no revision "main"`}},
		"not found":          {404, "", "", "/revision/", []string{"nothing of this name"}},
		"bad request":        {400, "", "", "/tree/", []string{"400 Bad Request", "is HF_ENDPOINT"}},
	} {
		t.Run(name, func(t *testing.T) {
			h, asked := hubtest.New(t, "org/name", map[string][]byte{"m.gguf": hubtest.Noise(100, 1)}), 0
			h.Meddle = func(w http.ResponseWriter, r *http.Request, _ string, _ []byte) bool {
				if !strings.Contains(r.URL.Path, c.at) {
					return false
				}
				asked++
				for key, value := range map[string]string{"X-Error-Code": c.code, "X-Error-Message": c.message} {
					if value != "" {
						w.Header().Set(key, value)
					}
				}
				w.WriteHeader(c.status)
				return true
			}
			_, err := client(t, h, t.TempDir(), nil).Pull(context.Background(), parse(t, "hf://org/name"))
			wantError(t, err, append(c.want, "hf://org/name: the hub answers")...)
			if asked != 1 {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

// What claims to be a hub cannot write outside the cache, nor have it read without end.
func TestHostileHub(t *testing.T) {
	hash := strings.Repeat("0", 64)
	entry := func(path, oid string) any {
		return []any{map[string]any{"type": "file", "path": path, "oid": oid, "size": 3}}
	}
	for name, c := range map[string]struct {
		commit string
		tree   any
		want   string
	}{
		"a path upwards":      {"", entry("../../../../x.gguf", hash), "nothing like it"},
		"an absolute path":    {"", entry("/x.gguf", hash), "nothing like it"},
		"a path of Windows":   {"", entry(`..\x.gguf`, hash), "nothing like it"},
		"a hash that is none": {"", entry("x.gguf", "../x"), `the hash "../x"`},
		"a commit upwards":    {"../../x", nil, "names no commit"},
		"no list":             {"", "a text", "does not answer as a hub does"},
		"endless answer":      {"", strings.Repeat("a", maxAnswer), "more than 16 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			h, outer := hubtest.New(t, "org/name", nil), t.TempDir()
			if c.commit != "" {
				h.Commit = c.commit
			}
			h.Meddle = func(w http.ResponseWriter, r *http.Request, _ string, _ []byte) bool {
				if strings.Contains(r.URL.Path, "/tree/") {
					hubtest.Answer(w, c.tree)
					return true
				}
				return false
			}
			_, err := client(t, h, filepath.Join(outer, "a", "cache"), nil).Pull(context.Background(), parse(t, "hf://org/name"))
			wantError(t, err, c.want)
			if entries, err := os.ReadDir(outer); err != nil || len(entries) != 0 {
				t.Errorf("it has written %v, %v", entries, err)
			}
		})
	}
}
