package store

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/damaged"
)

// bundleOf exports a run.
func bundleOf(t testing.TB, db *DB, run int64) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, db.WriteBundle(ctx, run, &b))
	return b.Bytes()
}

// openBundle writes a bundle to a file and opens it.
func openBundle(t testing.TB, content []byte) (*Bundle, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.json")
	must(t, os.WriteFile(path, content, 0o644))
	return OpenBundle(path)
}

// A bundle says of a run what its fingerprint covers, and is the same from whatever database it comes.
func TestBundle(t *testing.T) {
	db, other := newTest(t), newTest(t)
	putRun(t, other, "else", 1, 1, 1)
	run := putRun(t, db, "a", 1, 4, 1)
	again := putRun(t, other, "a", 1, 4, 2.5)
	content := bundleOf(t, db, run)
	if !bytes.Equal(content, bundleOf(t, other, again)) {
		t.Error("the same run gives another bundle")
	}
	b, err := openBundle(t, content)
	must(t, err)
	want := testRun("a", 1)
	want.Budget, want.LimitBytes = "", 0 // follow from the configuration
	if b.Run != want || b.Fingerprint != fingerprintOf(t, db, run) {
		t.Errorf("%+v\nwant %+v", b.Run, want)
	}
	if c, err := b.Compare(ctx, other, again, 0); err != nil || c.First != nil {
		t.Errorf("compared with its repetition: %v, %v", c.First, err)
	}
	if lineage := content[bytes.Index(content, []byte(`"lineage"`)):]; bytes.Count(lineage[:bytes.IndexByte(lineage, ']')], nil) == 0 || !bytes.Contains(lineage, []byte("[3,3,0,null,\"start\",")) {
		t.Errorf("the lineage does not end with a start: %.400s", lineage)
	}
}

// Every kind of value comes back bit for bit.
func TestBundleValues(t *testing.T) {
	row := []any{nil, int64(0), int64(math.MinInt64), int64(math.MaxInt64), 0.0, math.Copysign(0, -1), 3.0, 1e22, 0.1, 5e-324, math.MaxFloat64,
		math.Inf(1), math.Inf(-1), "", "a", "\"\\\n\u2028ü", "1e999", "null"}
	line, err := appendRow(nil, row)
	must(t, err)
	r := newBundleReader(strings.NewReader(string(line)), "x")
	r.inTable, r.columns = true, len(row)
	must(t, r.value(&r.row))
	for i, raw := range r.row {
		if v, err := readValue(raw); err != nil || !identical(v, row[i]) {
			t.Errorf("%#v comes back as %#v, %v", row[i], v, err)
		}
	}
}

// The first difference is named: causes before effects, generation by generation.
func TestBundleCompare(t *testing.T) {
	for _, c := range []struct{ name, change, want string }{
		{"seed", "UPDATE runs SET seed = 2", "run: seed was 1 and is 2"},
		{"status", "UPDATE runs SET status = 'failed'", "status: status was finished and is failed"},
		{"level", "UPDATE levels SET bytes = 1 WHERE site = 2 AND idx = 1; UPDATE scores SET kl = 1", "levels: site 2, idx 1: bytes was 130 and is 1"},
		{"score", "UPDATE scores SET fitness = 2 WHERE slice = 6 AND candidate = 9", "scores: generation 2, stage 1, candidate 9: fitness was 0.1221111111111111 and is 2"},
		{"candidate and later score", "UPDATE scores SET fitness = 2 WHERE slice = 6; UPDATE candidates SET parent = 2 WHERE id = 5", "candidates: generation 1, id 5: parent was 3 and is 2"},
		{"score and later candidate", "UPDATE scores SET fitness = 2 WHERE slice = 3; UPDATE candidates SET parent = 2 WHERE id = 8", "scores: generation 1, stage 0, candidate 4: fitness was 0.26 and is 2"},
		{"NULL", "UPDATE scores SET kl = NULL WHERE slice = 1 AND candidate = 1", "scores: generation 0, stage 0, candidate 1: kl was 1.01 and is none"},
		{"missing score", "DELETE FROM scores WHERE slice = 2", "scores: generation 0, stage 1, candidate 3: in its place is generation 1, stage 0, candidate 4"},
		{"missing last", "DELETE FROM generations WHERE generation = 2", "generations: generation 2: it is missing"},
		{"one more", "INSERT INTO slices VALUES (1, 7, 3, 0, 1, 'x')", "slices: generation 3, stage 0: there was none"},
		{"result", "UPDATE results SET kl = 0 WHERE role = 'baseline'", "results: role baseline: kl was 0.15100000000000002 and is 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := newTest(t)
			run := putRun(t, db, "a", 1, 3, 1)
			b, err := openBundle(t, bundleOf(t, db, run))
			must(t, err)
			tamper(t, db, c.change)
			got, err := b.Compare(ctx, db, run, 0)
			must(t, err)
			if got.First == nil || got.First.String() != c.want {
				t.Errorf("%v\nwant %s", got.First, c.want)
			}
		})
	}
}

// With a tolerance scores may differ by it, and the kernels may be others; nothing else may.
func TestBundleCompareWithin(t *testing.T) {
	for _, c := range []struct {
		name, change, want string
		largest            float64
	}{
		{"other kernels", "UPDATE runs SET kernel_path = 'avx2'; UPDATE scores SET kernel_path = 'avx2', fitness = fitness * 1.001", "", 0.001 / 1.001},
		{"beyond", "UPDATE scores SET fitness = fitness * 1.02 WHERE slice = 3", "scores: generation 1, stage 0, candidate 4: fitness was 0.26 and is 0.2652", 0},
		{"failed", "UPDATE scores SET fitness = NULL WHERE slice = 3", "scores: generation 1, stage 0, candidate 4: fitness was 0.26 and is none", 0},
		{"whole number", "UPDATE scores SET tokens = tokens + 1 WHERE slice = 2", "scores: generation 0, stage 1, candidate 3: tokens was 4096 and is 4097", 0},
		{"text", "UPDATE slices SET hash = 'x' WHERE id = 1", "slices: generation 0, stage 0: hash was hash-0-0 and is x", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := newTest(t)
			run := putRun(t, db, "a", 1, 3, 1)
			b, err := openBundle(t, bundleOf(t, db, run))
			must(t, err)
			tamper(t, db, c.change)
			got, err := b.Compare(ctx, db, run, 0.01)
			must(t, err)
			said := ""
			if got.First != nil {
				said = got.First.String()
			}
			if said != c.want || math.Abs(got.Largest-c.largest) > 1e-9 {
				t.Errorf("%q, %g; want %q, %g", said, got.Largest, c.want, c.largest)
			}
		})
	}
}

func TestBundleRefusesRuns(t *testing.T) {
	db := newTest(t)
	open, err := db.BeginRun(ctx, testRun("open", 1))
	must(t, err)
	aside := putRun(t, db, "aside", 1, 1, 1)
	must(t, db.SupersedeRuns(ctx, aside))
	changed := putRun(t, db, "changed", 1, 1, 1)
	tamper(t, db, "UPDATE scores SET tokens = 1 WHERE run_id = ?", changed)
	for run, want := range map[int64]error{open: ErrRunState, aside: ErrRunState, changed: ErrDamaged, 99: ErrNotFound} {
		var b bytes.Buffer
		if err := db.WriteBundle(ctx, run, &b); !errors.Is(err, want) || b.Len() > 0 {
			t.Errorf("run %d: %v, want %v; %d bytes", run, err, want, b.Len())
		}
	}
}

// damage is what may happen to a bundle, and what finch says.
func damage(t testing.TB) (sound []byte, kinds map[string][]byte) {
	t.Helper()
	db := newTest(t)
	sound = bundleOf(t, db, putRun(t, db, "a", 1, 2, 1))
	change := func(old, new string) []byte {
		t.Helper()
		if !bytes.Contains(sound, []byte(old)) {
			t.Fatalf("the bundle has no %s", old)
		}
		return bytes.Replace(sound, []byte(old), []byte(new), 1)
	}
	return sound, map[string][]byte{
		"empty":               nil,
		"no JSON":             []byte("[[experiment]]\n"),
		"other JSON":          []byte(`{"name": 1}`),
		"version of another":  change(`"finch_bundle": 1`, `"finch_bundle": 2`),
		"version no number":   change(`"finch_bundle": 1`, `"finch_bundle": "1"`),
		"cut short":           sound[:len(sound)/2],
		"end missing":         sound[:len(sound)-2],
		"more after the end":  append(bytes.Clone(sound), "{}"...),
		"table missing":       change(`"status"`, `"state"`),
		"columns differ":      change(`"relative_error"]`, `"error"]`),
		"columns missing":     change("\"sites\": [\n[", "\"sites\": [], \"x\": [["),
		"row too short":       change(`[0,"blk.0.attn_q",`, `["blk.0.attn_q",`),
		"row no list":         change(`[0,"blk.0.attn_q","attn_q",0,256]`, `{"position": 0}`),
		"value no number":     change(`[0,"blk.0.attn_q",`, `[true,"blk.0.attn_q",`),
		"value a list":        change(`[0,"blk.0.attn_q",`, `[[0],"blk.0.attn_q",`),
		"number too large":    change(`[0,"blk.0.attn_q",`, `[9223372036854775808,"blk.0.attn_q",`),
		"text too long":       change(`"blk.0.attn_q"`, `"`+strings.Repeat("x", 1<<20)+`"`),
		"value changed":       change(`[0,"blk.0.attn_q","attn_q",0,256]`, `[0,"blk.0.attn_q","attn_q",0,255]`),
		"configuration":       change(`{\"name\":\"a\"}`, `{\"name\":\"b\"}`),
		"fingerprint":         change(`"fingerprint": "`, `"fingerprint": "0`),
		"comma missing":       change("],\n\"run\"", "]\n\"run\""),
		"not UTF-8 in a text": change(`"blk.0.attn_q"`, "\"blk.0.\xff\""),
	}
}

// Each kind of damage is one clear error.
func TestCorruptBundles(t *testing.T) {
	sound, kinds := damage(t)
	messages := map[string]string{}
	for name, content := range kinds {
		allocated := damaged.Allocated(func() {
			_, err := parseBundle(bytes.NewReader(content), "bad.json")
			if err == nil {
				t.Errorf("%s: no error", name)
				return
			}
			messages[name] = err.Error()
		})
		if limit := 4*uint64(len(content)) + 16<<20; allocated > limit {
			t.Errorf("%s: %d bytes were allocated, more than %d", name, allocated, limit)
		}
		if strings.ContainsAny(messages[name], "\n\r") || !strings.HasPrefix(messages[name], "bad.json: ") {
			t.Errorf("%s: %q", name, messages[name])
		}
	}
	damaged.Check(t, "../docs/reliability.md", "bundles", len(kinds), messages)
	for end := range sound {
		if _, err := parseBundle(bytes.NewReader(sound[:end]), "bad.json"); err == nil && end < len(sound)-1 {
			t.Errorf("cut at byte %d: no error", end)
		}
	}
}

// A bundle is refused, or has the fingerprint that it states and holds what it says.
func FuzzBundle(f *testing.F) {
	sound, kinds := damage(f)
	f.Add(sound)
	for _, content := range kinds {
		if len(content) < 1<<16 {
			f.Add(content)
		}
	}
	f.Add([]byte(`{"finch_bundle": 1, "about": {"config": "` + strings.Repeat("[", 1000)))
	f.Fuzz(func(t *testing.T, content []byte) {
		var b *Bundle
		var err error
		allocated := damaged.Allocated(func() { b, err = parseBundle(bytes.NewReader(content), "x") })
		if limit := 4*uint64(len(content)) + 16<<20; allocated > limit {
			t.Errorf("%d bytes were allocated for %d", allocated, len(content))
		}
		if err == nil && (len(b.Fingerprint) != 64 || !bytes.Contains(content, []byte(b.Fingerprint))) {
			t.Errorf("a bundle with the fingerprint %q", b.Fingerprint)
		}
	})
}
