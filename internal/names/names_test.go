package names

import (
	"strings"
	"testing"
)

func TestIndex(t *testing.T) {
	for _, c := range []struct {
		name      string
		names     []string
		duplicate int
	}{
		{"none", nil, -1},
		{"one", []string{"a"}, -1},
		{"unsorted", []string{"c", "", "b", "a"}, -1},
		{"first of several duplicates", []string{"z", "b", "a", "b", "z", "a"}, 3},
		{"three of one name", []string{"a", "a", "a"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := func(i int) string { return c.names[i] }
			x := New(len(c.names), name)
			if got := x.Duplicate(name); got != c.duplicate {
				t.Errorf("Duplicate is %d, want %d", got, c.duplicate)
			}
			first := map[string]int{}
			for i, n := range c.names {
				if _, ok := first[n]; !ok {
					first[n] = i
				}
				if got := x.Find(n, name); got != first[n] {
					t.Errorf("Find(%q) is %d, want %d", n, got, first[n])
				}
			}
			for _, missing := range []string{"!", "bb", "zz"} {
				if got := x.Find(missing, name); got != -1 {
					t.Errorf("Find(%q) is %d", missing, got)
				}
			}
		})
	}
}

func TestQuote(t *testing.T) {
	if got := Quote("a\x00\xff"); got != `"a\x00\xff"` {
		t.Error(got)
	}
	if got := Quote(strings.Repeat("é", 1000)); len(got) > 100 || !strings.HasSuffix(got, `é…"`) {
		t.Error(got)
	}
}
