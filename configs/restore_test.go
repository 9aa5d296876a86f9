package configs

import (
	"bytes"
	"os"
	"testing"
)

func TestRestore(t *testing.T) {
	golden, err := os.ReadFile("testdata/canonical.json")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(golden) {
		line = bytes.TrimSpace(line)
		e, err := Restore("a", []uint64{3}, line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if e.Name != "a" || len(e.Seeds) != 1 || !bytes.Equal(e.Canonical(), line) {
			t.Errorf("%s\nis restored as\n%s", line, e.Canonical())
		}
		// Any other form is another version's.
		for _, other := range [][]byte{
			nil, []byte("{}"), line[:len(line)-1], bytes.Replace(line, []byte(`"group":`), []byte(`"groups":`), 1),
			bytes.Replace(line, []byte(`"levels":[`), []byte(`"levels":[7,`), 1), bytes.Replace(line, []byte("{"), []byte(`{"new":1,`), 1),
		} {
			if _, err := Restore("a", nil, other); err == nil && !bytes.Equal(other, line) {
				t.Errorf("%s is restored", other)
			}
		}
	}
}
