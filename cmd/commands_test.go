package cmd_test

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestHelp(t *testing.T) {
	dir := t.TempDir()
	help := done(t, dir, "--help")
	_, list, _ := strings.Cut(help.stdout, "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	commands := regexp.MustCompile(`(?m)^  ([\w-]+)`).FindAllStringSubmatch(list, -1)
	for _, name := range []string{"run", "plan", "status", "best", "query", "eval", "generate", "inspect", "check", "db", "reproduce"} {
		if !slices.ContainsFunc(commands, func(m []string) bool { return m[1] == name }) {
			t.Errorf("finch --help does not name %s:\n%s", name, help.stdout)
		}
	}
	for _, m := range commands {
		if m[1] == "help" || m[1] == "completion" { // cobra's
			continue
		}
		r := done(t, dir, m[1], "--help")
		if r.stderr != "" || !strings.Contains(r.stdout, "Usage:\n  finch "+m[1]) {
			t.Errorf("finch %s --help:\n%s%s", m[1], r.stdout, r.stderr)
		}
	}
	if bare := done(t, dir); bare.stdout != help.stdout {
		t.Errorf("finch by itself does not print the help:\n%s", bare.stdout)
	}
	if left := names(t, dir); left != "" {
		t.Errorf("help left %s", left)
	}
}

// TestUsage are commands that cannot be meant.
func TestUsage(t *testing.T) {
	for _, test := range []struct {
		line  string
		words []string
	}{
		{"rum", []string{`unknown command "rum"`, `"run"`}},
		{"sing", []string{`unknown command "sing"`, "finch --help"}},
		{"--sing", []string{"--sing", "finch --help"}},
		{"run --sing", []string{"--sing", "finch run --help"}},
		{"run --only", []string{"--only", "finch run --help"}},
		{"run --threads many", []string{"--threads", "finch run --help"}},
		{"run a.toml b.toml", []string{"1 arg", "finch run --help"}},
		{"plan a.toml b.toml", []string{"finch plan --help"}},
		{"status one two", []string{"finch status --help"}},
		{"best a b", []string{"finch best --help"}},
		{"query a b", []string{"finch query --help"}},
		{"eval", []string{"finch eval --help"}},
		{"generate", []string{"finch generate --help"}},
		{"inspect a b", []string{"finch inspect --help"}},
		{"check a b", []string{"finch check --help"}},
		{"levels sing", []string{`unknown command "sing"`}},
		{"levels build a.toml b.toml", []string{"finch levels build --help"}},
		{"levels build three.toml", []string{"three.toml", "no such file"}},
		{"levels build two.toml --only three", []string{`"three"`}},
		{"levels list two.toml two.toml", []string{"finch levels list --help"}},
		{"levels verify two.toml", []string{"finch levels verify --help"}},
		{"run", []string{"experiments.toml", "no such file"}},
		{"run .", []string{"folder", ".toml"}},
		{"run two.toml --only three", []string{`"three"`, `"depth", "joint"`}},
		{"run two.toml --threads 0", []string{"--threads 0"}},
		{"run two.toml --kernels abacus", []string{`"abacus"`, "portable"}},
		{"plan two.toml --threads -1", []string{"--threads -1"}},
		{"query best --format xml", []string{"--format xml", "json"}},
		{"query best --param run", []string{"--param run", "NAME=VALUE"}},
		{"query best --time-limit soon", []string{"--time-limit", "finch query --help"}},
		{"eval builtin:finchling --context 2", []string{"--context 2"}},
		{"eval builtin:finchling --context 1024", []string{"--context 1024", "512"}},
		{"eval builtin:finchling --chunks -1", []string{"--chunks -1"}},
		{"eval builtin:finchling --stride -1", []string{"--stride -1"}},
		{"eval builtin:finchling --stride 513", []string{"--stride 513", "512"}},
		{"eval builtin:finchling --stride 512", []string{"768", "context of builtin:finchling is 512"}},
		{"eval builtin:finchling --base a --save-base b", []string{"one of them"}},
		{"compress builtin:finchling --bytes 1GB", []string{"--output"}},
		{"compress builtin:finchling -o a.toml --bytes 1GB", []string{"a.toml", ".gguf"}},
		{"compress builtin:finchling -o a.gguf", []string{"--bytes or --bits-per-weight"}},
		{"compress builtin:finchling -o a.gguf --bytes 1GB --bits-per-weight 3", []string{"one of them"}},
		{"compress builtin:finchling -o a.gguf --bytes some", []string{"--bytes", "90MB"}},
		{"compress builtin:finchling -o a.gguf --bits-per-weight -1", []string{"--bits-per-weight -1"}},
		{"compress builtin:finchling -o a.gguf --bits-per-weight 3 --time-limit 0s", []string{"--time-limit 0s"}},
		{"compress builtin:finchling -o a.gguf --bytes 1MB", []string{"reaches from", "bits per weight", "ask for more"}},
		{"compress builtin:finchling -o a.gguf --bits-per-weight 16", []string{"reaches from", "ask for less"}},
		{"compare-models builtin:finchling", []string{"two models"}},
		{"compare-models a b --context 2", []string{"--context 2"}},
		{"generate builtin:finchling --top-k -1", []string{"--top-k -1"}},
		{"generate builtin:finchling --tokens 0", []string{"--tokens 0"}},
		{"generate builtin:finchling --temperature -1", []string{"--temperature -1"}},
		{"generate builtin:finchling --temperature NaN", []string{"--temperature NaN"}},
		{"generate builtin:finchling --top-p 0", []string{"--top-p 0"}},
	} {
		t.Run(test.line, func(t *testing.T) {
			dir := experiments(t)
			finch(t, dir, strings.Fields(test.line)...).fails(t, 2, test.words...)
			if left := names(t, dir); left != "two.toml" {
				t.Errorf("it left %s", left)
			}
		})
	}
}

// TestNoDatabase asks where nothing has run yet.
func TestNoDatabase(t *testing.T) {
	dir := t.TempDir()
	for _, line := range []string{"status", "best", "query best", "check", "check --fingerprint"} {
		finch(t, dir, strings.Fields(line)...).fails(t, 1, "no database finch.db", "finch run", "--db")
	}
	finch(t, dir, "status", "--db", "other.db").fails(t, 1, "other.db")
	finch(t, dir, "check", "other.db").fails(t, 1, "other.db")
	finch(t, dir, "check", ".").fails(t, 1, "directory", "finch.db")
	if left := names(t, dir); left != "" {
		t.Errorf("asking left %s", left)
	}
	write(t, dir, "finch.db", "Call me Ishmael.\n")
	for _, line := range []string{"status", "check"} {
		finch(t, dir, strings.Fields(line)...).fails(t, 1, "not a finch database", "--db")
	}
	write(t, dir, "two.toml", twoExperiments(t))
	finch(t, dir, "run", "two.toml").fails(t, 1, "not a finch database", "--db")
	finch(t, dir, "run", "two.toml", "--db", "nowhere/finch.db").fails(t, 1, "nowhere/finch.db.lock", "--db")
}

func TestQuery(t *testing.T) {
	dir := finishedRun(t)
	var rows []map[string]any
	if err := json.Unmarshal([]byte(done(t, dir, "query", "best", "--format", "json").stdout), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 {
		t.Fatalf("%d rows, want one for each run", len(rows))
	}
	for _, row := range rows {
		if row["method"] != map[any]string{"depth": "finch", "joint": "evopress"}[row["experiment"]] || row["seed"] != 1.0 || row["status"] != "finished" {
			t.Errorf("experiment, method, seed, status: %v, %v, %v, %v", row["experiment"], row["method"], row["seed"], row["status"])
		}
		for _, key := range []string{"file_bytes", "bits_per_weight", "kl", "ppl", "baseline_kl", "baseline_ppl"} {
			if v, ok := row[key].(float64); !ok || v <= 0 {
				t.Errorf("%s is %v", key, row[key])
			}
		}
	}

	csvRows, err := csv.NewReader(strings.NewReader(done(t, dir, "query", "best", "--format", "csv", "--param", "run=joint").stdout)).ReadAll()
	if err != nil || len(csvRows) != 2 || !slices.Contains(csvRows[0], "kl") || !slices.Contains(csvRows[1], "joint") {
		t.Errorf("csv: %v %v", csvRows, err)
	}
	if lines := strings.Count(done(t, dir, "query", "layers", "--format", "jsonl", "--param", "run=joint").stdout, "\n"); lines != 24+84 {
		t.Errorf("%d sites in 12 blocks, want a gate for each of 24 sublayers and 84 layers", lines)
	}
	for format, begins := range map[string]string{"table": "┌", "markdown": "| "} {
		if r := done(t, dir, "query", "best", "--format", format); !strings.HasPrefix(r.stdout, begins) {
			t.Errorf("%s:\n%s", format, r.stdout)
		}
	}

	list := done(t, dir, "query", "--list").stdout
	named := regexp.MustCompile(`(?m)^  ([a-z]+) `).FindAllStringSubmatch(list, -1)
	if len(named) < 10 || !strings.Contains(list, "--param run=") {
		t.Errorf("query --list:\n%s", list)
	}
	for _, m := range named {
		if r := done(t, dir, "query", m[1]); r.stdout == "" || r.stderr != "" {
			t.Errorf("query %s:\n%s%s", m[1], r.stdout, r.stderr)
		}
	}

	if r := done(t, dir, "query", "SELECT count(*) AS n FROM runs", "--format", "csv"); r.stdout != "n\n2\n" {
		t.Errorf("SQL: %s", r.stdout)
	}
	for _, sql := range []string{
		"DELETE FROM runs", "DROP TABLE runs", "UPDATE runs SET seed = 2", "INSERT INTO runs DEFAULT VALUES", "CREATE TABLE t (x)",
		"ATTACH 'other.db' AS other", "PRAGMA user_version = 9", "VACUUM INTO 'other.db'", "WITH x AS (SELECT 1) DELETE FROM runs",
	} {
		finch(t, dir, "query", sql).fails(t, 2, "queries may only read")
	}
	for sql, says := range map[string]string{
		"SELECT 1; DELETE FROM runs": "one statement at a time", "SELECT nothing FROM runs": "nothing", "SELEKT 1": "SELEKT",
		"beast": "best", ";": "empty",
	} {
		finch(t, dir, "query", sql).fails(t, 2, says)
	}
	finch(t, dir, "query", "best", "--param", "walk=1").fails(t, 2, `"walk"`, "run")
	for _, param := range []string{"best run=sparrow", "layers run=3", "compare runs=joint,sparrow", "seeds experiment=2", "status run=0"} {
		query, param, _ := strings.Cut(param, " ")
		finch(t, dir, "query", query, "--param", param).fails(t, 2, "not in the database", "finch status")
	}
	finch(t, dir, "query", "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", "--time-limit", "50ms").
		fails(t, 1, "--time-limit")
	if fingerprint(t, dir) != finished.fingerprint {
		t.Error("asking has changed the database")
	}
}

func TestBest(t *testing.T) {
	dir := finishedRun(t)
	if r := done(t, dir, "best"); r.stdout != finished.run.stdout {
		t.Errorf("not what run printed:\n%s", r.stdout)
	}
	for _, run := range []string{"joint", "2"} { // by its name or its number
		var rows []map[string]any
		if err := json.Unmarshal([]byte(done(t, dir, "best", run, "--json").stdout), &rows); err != nil || len(rows) != 1 || rows[0]["experiment"] != "joint" {
			t.Errorf("best %s --json: %v %v", run, rows, err)
		}
		if r := done(t, dir, "best", run); !strings.Contains(r.stdout, "joint") || strings.Contains(r.stdout, "depth") {
			t.Errorf("best %s:\n%s", run, r.stdout)
		}
	}
	for _, args := range [][]string{{"best", "sparrow"}, {"best", "sparrow", "--json"}, {"best", "3"}} {
		finch(t, dir, args...).fails(t, 2, args[1], "finch status")
	}
}

func TestStatus(t *testing.T) {
	dir := finishedRun(t)
	var rows []map[string]any
	if err := json.Unmarshal([]byte(done(t, dir, "status", "--json").stdout), &rows); err != nil || len(rows) != 2 {
		t.Fatalf("%v %v", rows, err)
	}
	for _, row := range rows {
		if row["status"] != "finished" || row["generation"].(float64) < 1 || row["error"] != "" || !(row["tokens"].(float64) > 0) {
			t.Errorf("%v", row)
		}
	}
	if r := done(t, dir, "status", "joint"); !strings.Contains(r.stdout, "joint") || strings.Contains(r.stdout, "depth") {
		t.Errorf("status joint:\n%s", r.stdout)
	}
	finch(t, dir, "status", "sparrow").fails(t, 2, "sparrow", "finch status")
}

func TestPlan(t *testing.T) {
	dir := experiments(t)
	r := done(t, dir, "plan", "two.toml", "--json")
	var plans []struct {
		Experiment, Method, Budget string
		Seeds                      int
		Tokens                     int64
		Seconds                    float64
		Memory                     int64 `json:"memory_bytes"`
		Disk                       int64 `json:"disk_bytes"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &plans); err != nil || len(plans) != 2 {
		t.Fatalf("%v\n%s", err, r.stdout)
	}
	for _, p := range plans {
		// 4 starts × 64 + 12 or 6 generations × (4 × 64 + 2 × 128 + 128 of the parent), then three networks on 512.
		tokens := 4*64 + map[string]int64{"depth": 12, "joint": 6}[p.Experiment]*(4*64+3*128) + 3*512
		if p.Tokens != tokens || p.Seconds <= 0 || p.Memory < 20<<20 || p.Disk <= 0 || p.Seeds != 1 || p.Method != map[string]string{"depth": "finch", "joint": "evopress"}[p.Experiment] || p.Budget == "" {
			t.Errorf("%+v", p)
		}
	}
	if r := done(t, dir, "plan", "two.toml"); !strings.Contains(r.stdout, "depth") || !strings.Contains(r.stdout, "MiB") {
		t.Errorf("plan:\n%s", r.stdout)
	}
	if left := names(t, dir); left != "two.toml" {
		t.Errorf("plan left %s", left)
	}
}

// TestCheck damages what a run left, a little each time.
func TestCheck(t *testing.T) {
	sound := finishedRun(t)
	damage := func(offset int64, bytes string) func(t *testing.T, file string) {
		return func(t *testing.T, file string) {
			f, err := os.OpenFile(file, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte(bytes), offset); err != nil {
				t.Fatal(err)
			}
		}
	}
	cut := func(t *testing.T, file string) {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, info.Size()/2); err != nil {
			t.Fatal(err)
		}
	}
	sql := func(statement string) func(*testing.T, string) {
		return func(t *testing.T, file string) { edit(t, filepath.Dir(file), statement) }
	}
	for _, test := range []struct {
		name, file, says string
		change           func(t *testing.T, file string)
	}{
		{"a score", "finch.db", "chain", sql("UPDATE scores SET fitness = fitness + 1e-9 WHERE run_id = 1 AND slice = 3")},
		{"a result", "finch.db", "seal", sql("UPDATE results SET kl = kl / 2 WHERE role = 'winner'")},
		{"a candidate", "finch.db", "run 2", sql("DELETE FROM scores WHERE run_id = 2 AND candidate = 2; DELETE FROM candidates WHERE run_id = 2 AND id = 2")},
		{"a page", "finch.db", "", damage(4096, strings.Repeat("\x00", 4096))},
		{"half the file", "finch.db", "", cut},
		{"a level", "level", "checksum differs", damage(1<<14, "\x01\x02\x03")},
		{"half a level", "level", "promises", cut},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := copyOf(t, sound)
			file := filepath.Join(dir, test.file)
			if test.file == "level" {
				levels, err := filepath.Glob(filepath.Join(dir, "finch.levels", "*.level"))
				if err != nil || len(levels) == 0 {
					t.Fatal(levels, err)
				}
				file = levels[0]
			}
			test.change(t, file)
			r := finch(t, dir, "check")
			if r.code != 1 || !strings.Contains(r.stdout+r.stderr, test.says) {
				t.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
			}
			r.explains(t, "finch.db")
		})
	}
	edited := copyOf(t, sound)
	edit(t, edited, "UPDATE scores SET fitness = fitness + 1e-9 WHERE run_id = 1 AND slice = 3")
	if fingerprint(t, edited) == finished.fingerprint {
		t.Error("the fingerprint does not depend on a score")
	}
}

func TestInspectJSON(t *testing.T) {
	r := inProcess("inspect", "builtin:finchling", "--json")
	var i struct {
		Types []struct {
			Type          string
			Tensors       int
			BitsPerWeight float64 `json:"bits_per_weight"`
		}
		Tensors []struct {
			Name  string
			Shape []int
		}
	}
	if err := json.Unmarshal([]byte(r.stdout), &i); err != nil {
		t.Fatalf("%v\n%s", err, r.stdout)
	}
	if len(i.Types) != 1 || i.Types[0].Type != "bf16" || i.Types[0].BitsPerWeight != 16 || i.Types[0].Tensors != 1+12*7 || len(i.Tensors) != 1+12*7 {
		t.Errorf("%+v", i)
	}
	if r := inProcess("inspect", "builtin:finchling", "--tensors"); !strings.Contains(r.stdout, "blk.11.ffn_down.weight") {
		t.Errorf("--tensors:\n%s", r.stdout)
	}
}
