package search

import "testing"

// What a method will take is known before the first score: exactly, where scores do not decide how many follow.
func TestEffort(t *testing.T) {
	for _, test := range []struct {
		method string
		space  *Space
		want   Effort
	}{
		{"evopress", intSpace(20, 3.5), Effort{8*64 + 60*(16*64+5*512), 60}},
		{"dp", intSpace(20, 3.5), Effort{(1+80)*512 + 512, 0}},
		{"uniform", intSpace(20, 3.5), Effort{512, 0}},
		{"random", intSpace(20, 3.5), Effort{421 * 512, 0}},
		{"annealing", intSpace(20, 3.5), Effort{(1 + 16 + 2*1675) * 64, 1675}},
		{"genetic", intSpace(20, 3.5), Effort{208*16*64 + 4*512, 207}},
		{"pareto", intSpace(20, 3.5), Effort{(1+2*100)*16*64 + 16*512, 100}},
		{"shortened", attentionSpace(16, 6), Effort{17*512 + 512, 0}},
		{"shortened-iterative", attentionSpace(16, 6), Effort{(1+16+15+14+13+12+11)*512 + 512, 0}},
		{"brute", attentionSpace(8, 2), Effort{28 * 512, 0}},
	} {
		settings := withImportance(test.space)
		settings.Generations = fast.Generations
		s := mustNew(t, test.method, test.space, settings, 1)
		if got := s.Effort(); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.method, got, test.want)
		}
		asked, _ := run(t, s, additive(make(Genome, len(test.space.Sites))))
		tokens := int64(0)
		for _, b := range asked {
			tokens += int64(b.Tokens * len(b.Candidates))
		}
		if exact := test.method != "shortened-iterative" && test.method != "pareto"; exact && tokens != test.want.Tokens {
			t.Errorf("%s: %d tokens scored, %d foretold", test.method, tokens, test.want.Tokens)
		}
		if effort, err := Check(test.method, test.space, fast); err != nil || effort != test.want {
			t.Errorf("%s before anything is measured: %+v, %v", test.method, effort, err)
		}
	}
}
