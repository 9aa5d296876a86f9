package disktest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// disk applies changes to an empty folder.
func disk(t *testing.T, ops ...Op) *Disk {
	t.Helper()
	d := loaded(t, t.TempDir())
	for _, op := range ops {
		if err := d.Apply(op); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func loaded(t *testing.T, folder string) *Disk {
	t.Helper()
	d, err := Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// content lists the files of a folder as name=content; folders have theirs in parentheses.
func content(t *testing.T, folder string) string {
	t.Helper()
	var list []string
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			list = append(list, fmt.Sprintf("%s(%s)", e.Name(), content(t, filepath.Join(folder, e.Name()))))
			continue
		}
		data, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s=%s", e.Name(), data))
	}
	return strings.Join(list, " ")
}

// outcomes lists what many crashes leave.
func outcomes(t *testing.T, d *Disk) map[string]int {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	seen := map[string]int{}
	for range 100 {
		folder := t.TempDir()
		if err := d.Crash(folder, rng); err != nil {
			t.Fatal(err)
		}
		seen[content(t, folder)]++
	}
	return seen
}

func write(path string, at int64, data string) Op {
	return Op{Kind: Write, Path: path, Offset: at, Data: []byte(data)}
}

func TestCrash(t *testing.T) {
	create, syncFile, syncFolder := Op{Kind: Create, Path: "a"}, Op{Kind: Sync, Path: "a"}, Op{Kind: Sync, Path: "."}
	for _, test := range []struct {
		name string
		ops  []Op
		want []string
	}{
		{"nothing is synced", []Op{create, write("a", 0, "x")}, []string{"", "a=", "a=x"}},
		{"the file, not its name", []Op{create, write("a", 0, "x"), syncFile}, []string{"", "a=x"}},
		{"its name, not the file", []Op{create, write("a", 0, "x"), syncFolder}, []string{"a=", "a=x"}},
		{"both", []Op{create, write("a", 0, "x"), syncFile, syncFolder}, []string{"a=x"}},
		{"overwritten", []Op{create, write("a", 0, "x"), syncFile, syncFolder, write("a", 0, "y"), write("a", 1, "z")},
			[]string{"a=x", "a=y", "a=xz", "a=yz"}},
		{"cut", []Op{create, write("a", 0, "xy"), syncFile, syncFolder, {Kind: Truncate, Path: "a", Offset: 1}}, []string{"a=xy", "a=x"}},
		{"removed", []Op{create, syncFolder, {Kind: Remove, Path: "a"}}, []string{"", "a="}},
		{"a name for another", []Op{create, {Kind: Create, Path: "b"}, write("b", 0, "x"), {Kind: Sync, Path: "b"}, syncFolder,
			{Kind: Rename, Path: "b", To: "a"}}, []string{"a= b=x", "a=x"}},
		{"a folder", []Op{{Kind: Mkdir, Path: "d"}, {Kind: Create, Path: "d/a"}, write("d/a", 0, "x"), {Kind: Sync, Path: "d/a"}, {Kind: Sync, Path: "d"}},
			[]string{"", "d(a=x)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			seen := outcomes(t, disk(t, test.ops...))
			for _, want := range test.want {
				if seen[want] == 0 {
					t.Errorf("never left: %q", want)
				}
				delete(seen, want)
			}
			if len(seen) > 0 {
				t.Errorf("left too: %v", seen)
			}
		})
	}
}

// A write is torn between sectors, never inside one.
func TestCrashTears(t *testing.T) {
	old, all := strings.Repeat("o", 3*sector), strings.Repeat("n", 3*sector)
	d := disk(t, Op{Kind: Create, Path: "a"}, write("a", 0, old), Op{Kind: Sync, Path: "a"}, Op{Kind: Sync, Path: "."}, write("a", 0, all))
	seen := outcomes(t, d)
	if len(seen) != 8 {
		t.Errorf("%d outcomes, want each of the three sectors old or new", len(seen))
	}
	for text := range seen {
		data := []byte(strings.TrimPrefix(text, "a="))
		for i := 0; i < len(data); i += sector {
			if s := data[i:min(len(data), i+sector)]; len(bytes.Trim(s, "o")) > 0 && len(bytes.Trim(s, "n")) > 0 {
				t.Errorf("sector %d is torn", i/sector)
			}
		}
	}
}

// What has happened is what processes see, and no crash changes what a later one leaves.
func TestNow(t *testing.T) {
	d := disk(t, Op{Kind: Mkdir, Path: "d"}, Op{Kind: Create, Path: "d/a"}, write("d/a", 2, "x"), Op{Kind: Rename, Path: "d/a", To: "d/b"},
		Op{Kind: Truncate, Path: "d/b", Offset: 5}, Op{Kind: Create, Path: "c"}, Op{Kind: Remove, Path: "c"})
	outcomes(t, d)
	folder := t.TempDir()
	if err := d.Now(folder); err != nil {
		t.Fatal(err)
	}
	const want = "d(b=\x00\x00x\x00\x00)"
	if got := content(t, folder); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if seen := outcomes(t, loaded(t, folder)); len(seen) != 1 || seen[want] == 0 {
		t.Errorf("what was there from the beginning may become %v", seen)
	}
}

func TestApplyRefuses(t *testing.T) {
	for _, op := range []Op{write("a", 0, "x"), {Kind: Sync, Path: "a"}, {Kind: Create, Path: "d/a"}} {
		if err := disk(t).Apply(op); err == nil {
			t.Errorf("%v: no error", op)
		}
	}
}
