package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// naiveScore computes one token's scores in float64 from whole rows of logits.
func naiveScore(s, t []float32, target int32, k int) TokenScore {
	lse := func(x []float32) float64 {
		highest, sum := math.Inf(-1), 0.0
		for _, v := range x {
			highest = max(highest, float64(v))
		}
		for _, v := range x {
			sum += math.Exp(float64(v) - highest)
		}
		return highest + math.Log(sum)
	}
	lseS, lseT := lse(s), lse(t)
	var score TokenScore
	for i := range s {
		if s[i] > s[score.Top] {
			score.Top = int32(i)
		}
	}
	if target >= 0 {
		score.NLL = lseS - float64(s[target])
		score.TeacherNLL = lseT - float64(t[target])
	}
	kth := math.Inf(-1)
	if k < len(t) {
		sorted := slices.Sorted(slices.Values(t))
		kth = float64(sorted[len(t)-k])
	}
	var tailP, tailQ float64
	for i := range s {
		p, q := math.Exp(float64(t[i])-lseT), math.Exp(float64(s[i])-lseS)
		term := p * (float64(t[i]) - lseT - float64(s[i]) + lseS)
		score.KL += term
		if float64(t[i]) >= kth {
			score.TopKL += term
		} else {
			tailP += p
			tailQ += q
		}
	}
	if tailP > 0 {
		score.TopKL += tailP * math.Log(tailP/tailQ)
	}
	return score
}

// scoreOne scores a single student.
func scoreOne(w *Worker, out []TokenScore, hidden []float32, in ScoreInput) {
	in.Hidden = [][]float32{hidden}
	w.Score([][]TokenScore{out}, in)
}

func TestScore(t *testing.T) {
	cases := []struct {
		tokens, vocab, cols, teacherCols, k int
		softcap, teacherSoftcap             float32
	}{
		{1, 1, 8, 8, 1, 0, 0}, {3, 5, 16, 24, 2, 0, 0}, {14, 256, 32, 32, 10, 0, 0}, {13, 300, 40, 64, 64, 0, 0},
		{5, 1031, 33, 17, 2000, 0, 0}, {1030, 40, 8, 8, 4, 0, 0},
		{13, 300, 40, 64, 64, 3, 0}, {13, 300, 40, 64, 64, 0, 5}, {1030, 270, 8, 8, 4, 30, 0.5},
	}
	eachPath(t, func(t *testing.T, p *Path) {
		for _, c := range cases {
			t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(20, uint64(c.vocab)))
				w := p.NewWorker()
				head, teacherHead := randomMatrix(rng, F32, c.vocab, c.cols, 1), randomMatrix(rng, F16, c.vocab, c.teacherCols, 1)
				hidden, teacherHidden := normals(rng, c.tokens*c.cols), normals(rng, c.tokens*c.teacherCols)
				targets := make([]int32, c.tokens)
				for i := range targets {
					targets[i] = int32(rng.IntN(c.vocab+1) - 1)
				}
				teacher := w.PrepareTeacher(teacherHidden, c.tokens, teacherHead, c.teacherSoftcap, c.k)
				got := make([]TokenScore, c.tokens)
				scoreOne(w, got, hidden, ScoreInput{Tokens: c.tokens, Head: head, Softcap: c.softcap, Targets: targets, Teacher: &teacher})

				s, te := make([]float32, c.tokens*c.vocab), make([]float32, c.tokens*c.vocab)
				w.Logits(s, hidden, c.tokens, head, c.softcap)
				w.Logits(te, teacherHidden, c.tokens, teacherHead, c.teacherSoftcap)
				for i := range got {
					row, teacherRow := s[i*c.vocab:(i+1)*c.vocab], te[i*c.vocab:(i+1)*c.vocab]
					want := naiveScore(row, teacherRow, targets[i], c.k)
					near(t, "NLL", i, got[i].NLL, want.NLL, 2e-6)
					near(t, "teacher's NLL", i, got[i].TeacherNLL, want.TeacherNLL, 2e-6)
					near(t, "KL", i, got[i].KL, want.KL, 2e-6*(1+want.KL))
					near(t, "TopKL", i, got[i].TopKL, want.TopKL, 2e-6*(1+want.KL))
					near(t, "top", i, float64(got[i].Top), float64(want.Top), 0)
					near(t, "teacher's top", i, float64(got[i].TeacherTop), float64(naiveScore(teacherRow, teacherRow, -1, 1).Top), 0)
				}
			})
		}
	})
}

// A student that is the teacher scores exactly zero.
func TestScoreOfTheTeacherItself(t *testing.T) {
	eachPath(t, func(t *testing.T, p *Path) {
		rng := rand.New(rand.NewPCG(21, 0))
		const tokens, vocab, cols = 9, 700, 256
		w, head, hidden := p.NewWorker(), randomMatrix(rng, Q6_K, vocab, cols, 1), normals(rng, tokens*cols)
		for _, softcap := range []float32{0, 2} {
			teacher := w.PrepareTeacher(hidden, tokens, head, softcap, 16)
			got := make([]TokenScore, tokens)
			scoreOne(w, got, hidden, ScoreInput{Tokens: tokens, Head: head, Softcap: softcap, Targets: make([]int32, tokens), Teacher: &teacher})
			for i, s := range got {
				if s.KL != 0 || math.Abs(s.TopKL) > 1e-12 || s.Top != teacher.Top[i] {
					t.Fatalf("token %d scores %+v", i, s)
				}
			}
		}
	})
}

// One column of a head that holds the logits, across the polynomial of the hyperbolic tangent, its exponential, and its ends.
func TestLogitsSoftcap(t *testing.T) {
	inf := float32(math.Inf(1))
	logits := []float32{0, 0x1p-120, -0x1p-120, 17.999, 18, 18.001, 300, -300, 1e30, -1e30, inf, -inf, float32(math.NaN())}
	for x := float32(-90); x < 90; x += 0.0137 {
		logits = append(logits, x)
	}
	eachPath(t, func(t *testing.T, p *Path) {
		if p.Name() == "avx512bf16" {
			t.Skip("rounds the logits that this test writes")
		}
		const softcap = 30
		got := make([]float32, len(logits))
		p.NewWorker().Logits(got, []float32{1}, 1, f32Matrix(logits, len(logits), 1), softcap)
		for i, x := range logits {
			want := softcap * math.Tanh(float64(x)/softcap)
			near(t, "logit", i, float64(got[i]), want, 3*0x1p-23*math.Abs(want))
		}
	})
}

// Peaked distributions: P rounds to 1, Q underflows, and later blocks of the vocabulary raise the scale.
func TestScoreExtremes(t *testing.T) {
	const vocab = 600
	eachPath(t, func(t *testing.T, p *Path) {
		if p.Name() == "avx512bf16" {
			t.Skip("rounds the logits that this test writes")
		}
		w := p.NewWorker()
		logits := make([]float32, vocab) // one column: the token's hidden state 1 makes the head the logits
		for i := range logits {
			logits[i] = float32(i%7) - 3
		}
		scale := func(factor float32) *Matrix {
			scaled := make([]float32, vocab)
			for i := range scaled {
				scaled[i] = logits[i] * factor
			}
			scaled[590] += 40 * factor
			return f32Matrix(scaled, vocab, 1)
		}
		for _, c := range []struct{ student, teacher float32 }{{1, 0.1}, {0.1, 1}, {30, 1}, {1, 30}, {300, 300}, {1000, 1}} {
			teacher := w.PrepareTeacher([]float32{1}, 1, scale(c.teacher), 0, 1)
			got := make([]TokenScore, 1)
			scoreOne(w, got, []float32{1}, ScoreInput{Tokens: 1, Head: scale(c.student), Targets: []int32{3}, Teacher: &teacher})
			s, te := make([]float32, vocab), make([]float32, vocab)
			w.Logits(s, []float32{1}, 1, scale(c.student), 0)
			w.Logits(te, []float32{1}, 1, scale(c.teacher), 0)
			want := naiveScore(s, te, 3, 1)
			// Logits are float32, so scores cannot be more precise than the largest of them.
			ulp := 0x1p-23 * float64(slices.Max(s)+slices.Max(te))
			near(t, "NLL", 0, got[0].NLL, want.NLL, 2e-6+ulp)
			near(t, "KL", 0, got[0].KL, want.KL, 2e-6*(1+want.KL)+ulp)
			if math.IsNaN(got[0].TopKL) || math.IsInf(got[0].TopKL, 0) || got[0].TopKL < -2e-6-ulp {
				t.Fatalf("%+v: TopKL is %g", c, got[0].TopKL)
			}
		}
	})
}

func TestScoreOfBrokenStates(t *testing.T) {
	eachPath(t, func(t *testing.T, p *Path) {
		rng := rand.New(rand.NewPCG(22, 0))
		const tokens, vocab, cols = 4, 300, 16
		w, head, hidden := p.NewWorker(), randomMatrix(rng, F32, vocab, cols, 1), normals(rng, tokens*cols)
		good := w.PrepareTeacher(slices.Clone(hidden), tokens, head, 0, 5)
		hidden[0] = float32(math.NaN())
		hidden[cols] = float32(math.Inf(1))
		hidden[2*cols] = 1e30
		broken := w.PrepareTeacher(hidden, tokens, head, 0, 5)
		for name, in := range map[string]ScoreInput{
			"student": {Tokens: tokens, Hidden: [][]float32{hidden}, Head: head, Targets: make([]int32, tokens), Teacher: &good},
			"teacher": {Tokens: tokens, Hidden: [][]float32{good.Hidden}, Head: head, Targets: make([]int32, tokens), Teacher: &broken},
		} {
			got := make([]TokenScore, tokens)
			w.Score([][]TokenScore{got}, in)
			for i, s := range got[:3] {
				if !math.IsNaN(s.KL) || !math.IsNaN(s.TopKL) || name == "student" && !math.IsNaN(s.NLL) {
					t.Errorf("broken %s: token %d scores %+v", name, i, s)
				}
			}
			if s := got[3]; s.KL != 0 || math.IsNaN(s.NLL) {
				t.Errorf("broken %s: the sound token scores %+v", name, s)
			}
		}
	})
}

func TestScoreIndependentOfTokens(t *testing.T) {
	eachPath(t, func(t *testing.T, p *Path) {
		rng := rand.New(rand.NewPCG(23, 0))
		const tokens, vocab, cols = 40, 530, 32
		w, head, hidden := p.NewWorker(), randomMatrix(rng, Q4_0, vocab, cols, 1), normals(rng, tokens*cols)
		teacherHidden, targets := normals(rng, tokens*cols), make([]int32, tokens)
		score := func(first, end int) []TokenScore {
			teacher := w.PrepareTeacher(teacherHidden[first*cols:end*cols], end-first, head, 0, 8)
			out := make([]TokenScore, end-first)
			scoreOne(w, out, hidden[first*cols:end*cols], ScoreInput{Tokens: end - first, Head: head, Targets: targets[first:end], Teacher: &teacher})
			return out
		}
		all := score(0, tokens)
		for _, part := range []struct{ first, end int }{{0, 1}, {39, 40}, {5, 30}} {
			if !slices.Equal(score(part.first, part.end), all[part.first:part.end]) {
				t.Errorf("tokens %+v score otherwise alone", part)
			}
		}
	})
}

// More tokens than are scored at a time, and several students.
func TestScoreOfStudentsTogether(t *testing.T) {
	eachPath(t, func(t *testing.T, p *Path) {
		rng := rand.New(rand.NewPCG(25, 0))
		const students, tokens, vocab, cols = 3, scoreTokens + 13, 300, 32
		w, head := p.NewWorker(), randomMatrix(rng, Q8_0, vocab, cols, 1)
		teacher := w.PrepareTeacher(normals(rng, tokens*cols), tokens, head, 0, 8)
		in := ScoreInput{Tokens: tokens, Head: head, Targets: make([]int32, tokens), Teacher: &teacher}
		var together [][]TokenScore
		for range students {
			in.Hidden = append(in.Hidden, normals(rng, tokens*cols))
			together = append(together, make([]TokenScore, tokens))
		}
		w.Score(together, in)
		for s, hidden := range in.Hidden {
			alone := make([]TokenScore, tokens)
			scoreOne(w, alone, hidden, in)
			if !slices.Equal(alone, together[s]) {
				t.Errorf("student %d scores otherwise alone", s)
			}
		}
	})
}

func TestScoreWithoutTeacher(t *testing.T) {
	w := Paths()[0].NewWorker()
	rng := rand.New(rand.NewPCG(24, 0))
	head := randomMatrix(rng, F32, 50, 8, 1)
	got := make([]TokenScore, 2)
	scoreOne(w, got, normals(rng, 16), ScoreInput{Tokens: 2, Head: head, Targets: []int32{4, -1}})
	if !(got[0].NLL > 0) || got[1].NLL != 0 || got[0].KL != 0 || got[0].TeacherNLL != 0 || got[0].TeacherTop != -1 {
		t.Errorf("scores %+v", got)
	}
}
