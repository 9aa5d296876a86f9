package search

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestGenomeText(t *testing.T) {
	g := Genome{0, 1, 15, 16, 255}
	if got := g.String(); got != "00010f10ff" {
		t.Errorf("String = %q", got)
	}
	back, err := ParseGenome(g.String())
	if err != nil || !slices.Equal(back, g) {
		t.Errorf("ParseGenome = %v, %v", back, err)
	}
	for _, bad := range []string{"0", "0g", "é0"} {
		if _, err := ParseGenome(bad); err == nil {
			t.Errorf("ParseGenome(%q) succeeded", bad)
		}
	}
}

func FuzzParseGenome(f *testing.F) {
	for _, seed := range []string{"", "00", "0aFF", "xyz", "012"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		g, err := ParseGenome(text)
		if err == nil && g.String() != strings.ToLower(text) {
			t.Errorf("%q became %q", text, g)
		}
	})
}

func TestCostFollowsGates(t *testing.T) {
	s := bytesSpace(1, 4, true)
	g := make(Genome, len(s.Sites))
	if got := s.Cost(g)[0]; got != 1000 {
		t.Errorf("everything dropped costs %d, want the fixed 1000", got)
	}
	g[0] = Keep // attention: 10240 weights at q2_k and its norm
	if got, want := s.Cost(g)[0], int64(1000+256+10240/256*84); got != want {
		t.Errorf("attention kept costs %d, want %d", got, want)
	}
	g[6] = 3 // a layer of the dropped MLP
	if !slices.Equal(s.Cost(g), s.Cost(s.Canonical(g))) || s.Canonical(g)[6] != 0 || g[6] != 3 {
		t.Error("Canonical must clear the dropped layer in a copy and keep the cost")
	}
}

func TestCheck(t *testing.T) {
	s := intSpace(2, 3)
	for name, g := range map[string]Genome{"short": {0}, "long": {0, 0, 0}, "level": {0, 5}} {
		if s.Check(g) == nil || s.Feasible(g) {
			t.Errorf("%s: %v passed", name, g)
		}
	}
	if !s.Feasible(Genome{1, 1}) || s.Feasible(Genome{1, 2}) {
		t.Error("3 bits must fit exactly and no more")
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*Space)
		want  string
	}{
		{"valid", func(s *Space) {}, ""},
		{"no sites", func(s *Space) { s.Sites = nil }, "no sites"},
		{"no constraint", func(s *Space) { s.Constraints = nil }, "no constraint"},
		{"infeasible", func(s *Space) { s.Constraints[0].Limit = 999 }, "bytes comes to 1000 and the limit is 999 (1 over)"},
		{"same name", func(s *Space) { s.Sites[3].Name = s.Sites[2].Name }, "appears twice"},
		{"gate out of range", func(s *Space) { s.Sites[2].Gate = 99 }, "gate 99 is not a site"},
		{"gate of a gate", func(s *Space) { s.Sites[1].Gate = 0 }, "cannot have a gate of its own"},
		{"gate is a layer", func(s *Space) { s.Sites[2].Gate = 3 }, `must have the two levels "drop" and "keep"`},
		{"no levels", func(s *Space) { s.Sites[2].Levels = nil }, "has 0 levels"},
		{"too many levels", func(s *Space) { s.Sites[2].Levels = make([]Level, 257) }, "has 257 levels"},
		{"same level", func(s *Space) { s.Sites[2].Levels[1].Name = "q2_k" }, `level "q2_k" appears twice`},
		{"missing cost", func(s *Space) { s.Sites[2].Levels[1].Costs = nil }, "has 0 costs for 1 constraints"},
		{"negative cost", func(s *Space) { s.Sites[2].Levels[0].Costs[0] = -1 }, "cannot be negative"},
		{"negative weights", func(s *Space) { s.Sites[2].Weights = -1 }, "cannot be negative"},
		{"negative fixed", func(s *Space) { s.Constraints[0].Fixed = -1 }, "cannot be negative"},
		{"order", func(s *Space) { slices.Reverse(s.Sites[2].Levels) }, "order levels from the cheapest"},
		{"gate order", func(s *Space) { s.Sites[0].Levels[Drop].Costs[0] = 1 << 40 }, "keeping it costs less"},
		{"overflow", func(s *Space) {
			for _, i := range []int{2, 3} {
				s.Sites[i].Levels[4].Costs[0] = math.MaxInt64 / 2
			}
		}, "coarser unit"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := bytesSpace(2, 4, true)
			test.spoil(s)
			err := s.Validate()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Validate = %v, want %q", err, test.want)
			}
		})
	}
}
