// Package damaged serves tests of damaged inputs: it compares what docs/reliability.md says of them with what finch says, and
// measures what reading them allocates.
package damaged

import (
	"os"
	"runtime"
	"strings"
	"testing"
)

// Check reads the table under the heading of a format, of one row for each class of damage and the message that it gives, and
// compares it with messages by class. The table has this many rows. path leads to the document.
func Check(t *testing.T, path, format string, rows int, messages map[string]string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(data), "\n### "+format+"\n")
	if !ok {
		t.Fatalf("%s has no heading %s", path, format)
	}
	section, _, _ = strings.Cut(section, "\n#")
	found := 0
	for line := range strings.Lines(section) {
		class, message, ok := strings.Cut(strings.TrimSpace(line), " | ")
		class, message = strings.TrimPrefix(class, "| "), strings.TrimSuffix(message, " |")
		if !ok || class == "damage" {
			continue
		}
		found++
		if got, ok := messages[class]; !ok {
			t.Errorf("%s: no test has the damage %q", format, class)
		} else if message != got {
			t.Errorf("%s, %s: the document says\n%s\nfinch says\n%s", format, class, message, got)
		}
	}
	if found != rows {
		t.Errorf("%s has %d rows of damage to %s, want %d", path, found, format, rows)
	}
}

// Allocated is the number of bytes that do allocates, garbage included.
func Allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
