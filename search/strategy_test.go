package search

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// suite has a space for every axis.
var suite = []struct {
	name  string
	space func() *Space
}{
	{"depth", func() *Space { return depthSpace(8, 2, 3) }},
	{"sparsity", func() *Space { return sparsitySpace(2, 3) }},
	{"bits", func() *Space { return bytesSpace(2, 3.7, false) }},
	{"joint", func() *Space { return bytesSpace(2, 3.7, true) }},
}

// withImportance are settings with all that a caller can know of a space.
func withImportance(space *Space) Settings {
	settings := fast
	settings.Generations = 12
	if d := DetectAxis(space); d == Bits || d == Sparsity {
		for i := range space.Sites {
			errors := make([]float64, len(space.Sites[i].Levels))
			for l := range errors {
				errors[l] = float64(1+i*3%5) * math.Pow(0.25, float64(l))
			}
			settings.LocalErrors = append(settings.LocalErrors, errors)
		}
	}
	if DetectAxis(space) == Sparsity {
		for i := range space.Sites {
			zeros := make([]float64, len(space.Sites[i].Levels))
			for l, level := range space.Sites[i].Levels {
				zeros[l] = 1 - float64(level.Costs[0])/float64(space.Sites[i].Weights)
			}
			settings.Zeros = append(settings.Zeros, zeros)
		}
		for b := range blockCount(space) {
			settings.Outliers = append(settings.Outliers, float64(b*5%3)/100)
		}
	}
	for i := range space.Sites {
		if space.Sites[i].IsGate() {
			settings.Importance = append(settings.Importance, float64(i*7%5))
			settings.Change = append(settings.Change, float64(i*3%7))
		}
	}
	if boundaries := blockCount(space) + 1; settings.Importance != nil {
		for a := range boundaries {
			settings.Distances = append(settings.Distances, make([]float64, boundaries))
			for b := range boundaries {
				settings.Distances[a][b] = math.Abs(float64(a*a-b*b)) / 100
			}
		}
	}
	return settings
}

// axesOf lists the axes of methods that refuse others.
var axesOf = map[string][]string{
	"dp-local":            {Sparsity, Bits},
	"shortgpt":            {Depth},
	"shortened":           {Depth},
	"shortened-iterative": {Depth},
	"sliding-window":      {Depth},
	"subcloning":          {Depth},
	"owl":                 {Sparsity},
	"brute":               {}, // the spaces of the suite are too large
}

// seeded are the methods whose first batch depends on the seed.
var seeded = []string{"evopress", "random", "genetic", "pareto"}

// A change of any draw, its order or the selection changes these digests. Change them only with intent: runs recorded
// before cannot be resumed after.
// A method that says so goes on with what a shorter search asked.
func TestExtends(t *testing.T) {
	for _, method := range Methods() {
		if !method.Extends {
			continue
		}
		for _, each := range suite {
			t.Run(method.Name+"/"+each.name, func(t *testing.T) {
				space := each.space()
				settings := withImportance(space)
				f := noisy(additive(plant(t, space, 9)), 5)
				short, told := run(t, mustNew(t, method.Name, space, settings, 7), f)
				settings.Generations += 5
				s := mustNew(t, method.Name, space, settings, 7)
				for i, want := range short {
					if got, more := s.Ask(); !more || !reflect.DeepEqual(got, want) {
						t.Fatalf("batch %d differs", i)
					}
					s.Tell(told[i])
				}
				if _, more := s.Ask(); !more {
					t.Error("the longer search ends with the shorter")
				}
			})
		}
	}
}

func TestGoldenRuns(t *testing.T) {
	want := map[string]string{
		"depth":    "95a9001356031729",
		"sparsity": "dbdbf13c86d2d767",
		"bits":     "7acd8dc24da8f7a8",
		"joint":    "ac1665e313ffce2b",
	}
	for _, each := range suite {
		space := each.space()
		// The landscape is integral, so that no platform rounds it differently.
		f := func(g Genome, b Batch) float64 {
			sum := 0
			for i, level := range g {
				sum += (1 + i%3) * (int(level)*5%7 + b.Stage)
			}
			return float64(sum)
		}
		s := mustNew(t, "evopress", space, withImportance(space), 42)
		asked, _ := run(t, s, f)
		h := sha256.New()
		for _, b := range asked {
			for _, c := range b.Candidates {
				fmt.Fprintln(h, b.Generation, b.Stage, b.Tokens, c.ID, c.Parent, c.Genome, c.Operator)
			}
		}
		fmt.Fprintln(h, s.Best().ID)
		if got := hex.EncodeToString(h.Sum(nil)[:8]); got != want[each.name] {
			t.Errorf("%s: digest %s, want %s", each.name, got, want[each.name])
		}
	}
}

func TestUniform(t *testing.T) {
	t.Run("spare bytes in block order", func(t *testing.T) {
		space := bytesSpace(3, 4.55, false) // q4_k has 4.5 bits
		b, _ := mustNew(t, "uniform", space, Settings{}, 1).Ask()
		c := b.Candidates[0]
		if len(b.Candidates) != 1 || b.Tokens != 131072 || c.Operator != "uniform q4_k" {
			t.Fatalf("batch %+v", b)
		}
		// 0.05 bit of 144384 weights are 888 bytes: attn_q takes 512, then attn_k and attn_v 128 each.
		want := slices.Repeat(Genome{2}, 21)
		want[0], want[1], want[2] = 3, 3, 3
		if !slices.Equal(c.Genome, want) {
			t.Errorf("genome %v, want %v", c.Genome, want)
		}
	})
	t.Run("sparsity", func(t *testing.T) {
		b, _ := mustNew(t, "uniform", sparsitySpace(2, 3), Settings{}, 1).Ask()
		if want := slices.Repeat(Genome{3}, 14); !slices.Equal(b.Candidates[0].Genome, want) {
			t.Errorf("genome %v, want the centre", b.Candidates[0].Genome)
		}
	})
	t.Run("depth by importance", func(t *testing.T) {
		space := depthSpace(4, 1, 2)
		settings := Settings{Importance: []float64{5, 1, 2, 9, 2, 3, 7, 2}} // attention 5 2 2 7, MLP 1 9 3 2
		b, _ := mustNew(t, "uniform", space, settings, 1).Ask()
		if want := (Genome{1, 0, 0, 1, 1, 1, 1, 0}); !slices.Equal(b.Candidates[0].Genome, want) {
			t.Errorf("genome %v, want %v", b.Candidates[0].Genome, want)
		}
		if _, err := New("uniform", space, Settings{}, 1); err == nil || !strings.Contains(err.Error(), "Importance") {
			t.Errorf("without importance: %v", err)
		}
	})
	t.Run("joint below the cheapest level", func(t *testing.T) {
		space := bytesSpace(4, 2.2, true) // q2_k has 2.625 bits
		settings := withImportance(space)
		b, _ := mustNew(t, "uniform", space, settings, 1).Ask()
		c := b.Candidates[0]
		if !space.Feasible(c.Genome) || c.Operator != "uniform, least important dropped" {
			t.Errorf("%+v", c)
		}
	})
}

func TestRandomSpendsTheTokensOfEvoPress(t *testing.T) {
	settings := fast // 8·64 + 60·(16·64 + 5·512) tokens in candidates of 512
	b, _ := mustNew(t, "random", intSpace(20, 3.5), settings, 1).Ask()
	if want := (8*64 + 60*(16*64+5*512)) / 512; len(b.Candidates) != want || b.Tokens != 512 {
		t.Errorf("%d candidates on %d tokens, want %d on 512", len(b.Candidates), b.Tokens, want)
	}
}

func TestDefaults(t *testing.T) {
	tests := []struct {
		name       string
		space      *Space
		want       Settings
		generation int64 // tokens of one, as the paper's tables give them
	}{
		{"depth", depthSpace(32, 8, 8), Settings{Generations: 128, Offspring: 32, Survivors: []int{2, 1}, Tokens: []int{2048, 32768}}, 163840},
		{"sparsity", sparsitySpace(2, 2), Settings{Generations: 400, Offspring: 64, Survivors: []int{8, 2, 1}, Tokens: []int{2048, 16384, 65536}}, 458752},
		{"bits", bytesSpace(2, 3, false), Settings{Generations: 150, Offspring: 128, Survivors: []int{16, 4, 1}, Tokens: []int{2048, 16384, 131072}}, 1179648},
		{"joint", bytesSpace(2, 3, true), Settings{Generations: 150, Offspring: 128, Survivors: []int{16, 4, 1}, Tokens: []int{2048, 16384, 131072}}, 1179648},
	}
	for _, test := range tests {
		test.want.Start = Start{Candidates: 64, Tokens: 2048}
		got, err := Complete(test.space, Settings{})
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, %v", test.name, got, err)
		}
		if want := 64*2048 + int64(got.Generations)*test.generation; got.TotalTokens() != want {
			t.Errorf("%s: %d tokens in all, want %d", test.name, got.TotalTokens(), want)
		}
	}
}

func TestSettingsErrors(t *testing.T) {
	tests := []struct {
		name   string
		spoil  func(*Settings)
		method string
		want   string
	}{
		{"method", func(*Settings) {}, "magic", "write one of finch, evopress, "},
		{"generations", func(s *Settings) { s.Generations = -1 }, "evopress", "generations = -1"},
		{"offspring", func(s *Settings) { s.Offspring = -1 }, "evopress", "offspring = -1"},
		{"stages", func(s *Settings) { s.Tokens = []int{1} }, "evopress", "2 survivors for 1 token counts"},
		{"winner", func(s *Settings) { s.Survivors = []int{4, 2} }, "evopress", "the last stage keeps 1"},
		{"first stage", func(s *Settings) { s.Survivors = []int{17, 1} }, "evopress", "keeps 17 of 16 offspring"},
		{"growing", func(s *Settings) { s.Survivors, s.Tokens = []int{2, 3, 1}, []int{1, 1, 1} }, "evopress", "no more than the one before"},
		{"tokens", func(s *Settings) { s.Tokens = []int{0, 1} }, "evopress", "tokens"},
		{"starts", func(s *Settings) { s.Start.Candidates = -2 }, "evopress", "start candidates = -2"},
		{"start genome", func(s *Settings) { s.Start.Genome = Genome{1} }, "evopress", "genome of 1 sites"},
		{"axis", func(s *Settings) { s.Axis = "width" }, "evopress", "unknown axis"},
		{"group", func(s *Settings) { s.Group = "colour" }, "evopress", "unknown group rule"},
		{"importance", func(s *Settings) { s.Importance = []float64{1} }, "uniform", "for 0 gates"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			settings := fast
			test.spoil(&settings)
			if _, err := New(test.method, intSpace(6, 3.5), settings, 1); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New: %v, want %q", err, test.want)
			}
		})
	}
	settings := withImportance(depthSpace(2, 1, 1))
	settings.Importance[1] = math.NaN()
	if _, err := New("uniform", depthSpace(2, 1, 1), settings, 1); err == nil {
		t.Error("an importance of NaN was accepted")
	}
	infeasible := intSpace(6, 1)
	if _, err := New("evopress", infeasible, fast, 1); err == nil || !strings.Contains(err.Error(), "no feasible genome") {
		t.Errorf("infeasible: %v", err)
	}
}
