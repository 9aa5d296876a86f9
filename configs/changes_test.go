package configs

import (
	"slices"
	"testing"
)

func TestChanges(t *testing.T) {
	const before = `
[[experiment]]
name   = "a"
levels = ["q4_0", "q8_0"]
budget = { bits_per_weight = 5.0 }
`
	was := parse(t, before).Experiments[0].Canonical()
	for _, test := range []struct {
		name, file string
		want       []Change
	}{
		{"nothing", before, nil},
		{"what decides nothing", before + "seeds = [3, 4]\n", nil},
		{"a default that is written out", before + "search = { generations = 40 }\n", nil},
		{"one value", before + "search = { generations = 50 }\n", []Change{{"search.generations", "40", "50"}}},
		{"a list, another bound, and one that went", `
[[experiment]]
name   = "a"
levels = ["q4_0", "q4_k"]
budget = { bytes = 1000 }
`, []Change{{"budget.bits_per_weight", "5", ""}, {"budget.bytes", "", "1000"}, {"levels", `["q4_0","q8_0"]`, `["q4_0","q4_k"]`}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parse(t, test.file).Experiments[0].Changes(was)
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
	if _, err := parse(t, before).Experiments[0].Changes([]byte("none")); err == nil {
		t.Error("no error for a record that is no JSON")
	}
}
