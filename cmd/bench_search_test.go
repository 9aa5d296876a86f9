package cmd

import (
	"math"
	"testing"

	"github.com/finch-llm/finch/configs"
	"github.com/finch-llm/finch/search"
)

// The cases of bench search are experiments, in which finch spends what evopress spends, less a generation at most.
func TestSearchCases(t *testing.T) {
	for _, test := range []struct {
		full        bool
		generations int
		smol        string
		experiments int
	}{{false, 40, "", 8}, {true, 400, "", 8}, {true, 400, "x.gguf", 10}} {
		file, err := configs.Decoder{Level: levelTrait}.Parse([]byte(benchFile(searchCases(test.full, test.generations, test.smol))), "bench search")
		if err != nil || len(file.Experiments) != test.experiments {
			t.Fatalf("%v: %+v", err, file)
		}
		for i := 0; i < test.experiments; i += 2 {
			evopress, finch := tokensOf(&file.Experiments[i].Search), tokensOf(&file.Experiments[i+1].Search)
			if finch > evopress || finch < evopress-20480 {
				t.Errorf("%s spends %d tokens, and %s %d", file.Experiments[i].Name, evopress, file.Experiments[i+1].Name, finch)
			}
		}
	}
}

func tokensOf(s *configs.Search) int64 {
	return search.Settings{
		Generations: s.Generations, Offspring: s.Offspring, Survivors: s.Survivors, Tokens: s.Tokens,
		Start: search.Start{Candidates: s.Starts, Tokens: s.StartTokens},
	}.TotalTokens()
}

func TestMedian(t *testing.T) {
	inf := math.Inf(1)
	for _, test := range []struct {
		of   []float64
		want float64 // +Inf: none
	}{{[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{inf, 1, 2}, 2}, {[]float64{inf, 1}, inf}, {[]float64{inf}, inf}} {
		if got := median(test.of); (got == nil) != math.IsInf(test.want, 1) || got != nil && *got != test.want {
			t.Errorf("the median of %v is %v", test.of, got)
		}
	}
}
