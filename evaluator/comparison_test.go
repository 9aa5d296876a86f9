package evaluator

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"

	"github.com/finch-llm/finch/kernels"
)

// TestCompare checks the means and errors by gonum's statistics.
func TestCompare(t *testing.T) {
	rng := rng(4)
	const n = 101
	scores := make([]kernels.TokenScore, n)
	var nll, base, kld, delta, squares, same []float64
	for i := range scores {
		b := rng.ExpFloat64()
		s := kernels.TokenScore{NLL: b + 0.1*rng.NormFloat64() + 0.05, TeacherNLL: b, KL: rng.ExpFloat64(), Top: 3, TeacherTop: 3}
		if i%4 == 0 {
			s.Top = 2
		}
		d := math.Exp(-s.NLL) - math.Exp(-b)
		nll, base, kld = append(nll, s.NLL), append(base, b), append(kld, s.KL)
		delta, squares, same = append(delta, d), append(squares, d*d), append(same, float64(s.Top-2))
		scores[i] = s
	}
	mean := func(x []float64) Estimate { return Estimate{stat.Mean(x, nil), stat.StdErr(stat.StdDev(x, nil), n)} }
	differences := make([]float64, n)
	for i := range nll {
		differences[i] = nll[i] - base[i]
	}
	q, b := mean(nll), mean(base)
	ppl, pplBase := math.Exp(q.Value), math.Exp(b.Value)
	weighted := make([]float64, n) // to first order, PPL(Q) − PPL(base) varies as this
	for i := range nll {
		weighted[i] = ppl*nll[i] - pplBase*base[i]
	}
	ratio, rms := mean(differences), math.Sqrt(stat.Mean(squares, nil))
	got := Compare(scores)
	if p := Perplexity(scores); p != got.PPL {
		t.Errorf("perplexity %+v and %+v", p, got.PPL)
	}
	for _, c := range []struct {
		what      string
		got, want Estimate
	}{
		{"PPL(Q)", got.PPL, Estimate{ppl, ppl * q.Error}},
		{"PPL(base)", got.PPLBase, Estimate{pplBase, pplBase * b.Error}},
		{"correlation", Estimate{got.Correlation, 0}, Estimate{stat.Correlation(nll, base, nil), 0}},
		{"ln ratio", got.LogRatio, ratio},
		{"ratio", got.Ratio, Estimate{math.Exp(ratio.Value), math.Exp(ratio.Value) * ratio.Error}},
		{"difference", got.Difference, Estimate{ppl - pplBase, mean(weighted).Error}},
		{"KLD", got.KLD, mean(kld)},
		{"Δp", got.DeltaP, mean(delta)},
		{"RMS Δp", got.RMSDeltaP, Estimate{rms, mean(squares).Error / (2 * rms)}},
		{"same top", got.SameTop, mean(same)},
	} {
		if math.Abs(c.got.Value-c.want.Value) > 1e-9 || math.Abs(c.got.Error-c.want.Error) > 1e-9 {
			t.Errorf("%s is %+v, want %+v", c.what, c.got, c.want)
		}
	}
	sorted := slices.Sorted(slices.Values(kld))
	for _, k := range got.KLDs { // of 101 values, whole percents are values themselves
		at := k.Fraction * 100
		want := sorted[int(at)]
		if k.Fraction > 0.99 && k.Fraction < 1 || k.Fraction == 0.001 {
			want += (at - math.Floor(at)) * (sorted[int(at)+1] - want)
		}
		if math.Abs(k.Value-want) > 1e-9 {
			t.Errorf("%v of KLD are below %g, want %g", k.Fraction, k.Value, want)
		}
	}
	if d := got.DeltaPs; d[0].Value != slices.Max(delta) || d[len(d)-1].Value != slices.Min(delta) || len(d) != 13 || len(got.KLDs) != 11 {
		t.Errorf("quantiles of Δp: %+v", d)
	}
}

// TestCompareEqualModels has no errors to divide by.
func TestCompareEqualModels(t *testing.T) {
	scores := make([]kernels.TokenScore, 7)
	for i := range scores {
		scores[i] = kernels.TokenScore{NLL: float64(i), TeacherNLL: float64(i)}
	}
	got := Compare(scores)
	if zero := (Estimate{}); got.Ratio != (Estimate{1, 0}) || got.Difference.Value != 0 || got.Difference.Error > 1e-6 || got.RMSDeltaP != zero || got.SameTop != (Estimate{1, 0}) || math.Abs(got.Correlation-1) > 1e-12 {
		t.Errorf("%+v", got)
	}
}

// TestCompareWithoutVariance has a model, or a base, to which every token is as likely as any other.
func TestCompareWithoutVariance(t *testing.T) {
	for _, c := range []struct {
		what      string
		nll, base float64 // at position 1; 2 at the others
	}{{"model", 2, 1}, {"base", 1, 2}, {"both", 2, 2}} {
		scores := make([]kernels.TokenScore, 4)
		for i := range scores {
			scores[i] = kernels.TokenScore{NLL: 2, TeacherNLL: 2}
		}
		scores[1].NLL, scores[1].TeacherNLL = c.nll, c.base
		got := Compare(scores)
		if got.Correlation != 0 {
			t.Errorf("%s: correlation %v", c.what, got.Correlation)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// TestWindows are what llama.cpp's perplexity program scores with a stride.
func TestWindows(t *testing.T) {
	ids := make([]int32, 3000)
	for i := range ids {
		ids[i] = int32(i)
	}
	for _, c := range []struct {
		context, stride, limit, bos   int
		windows, length, from, second int
	}{
		{512, 128, 0, -1, 18, 768, 768 - 129, 128}, // 512 + 64, rounded up to 768; ⌈(3000 − 768) / 128⌉
		{512, 512, 0, -1, 5, 768, 255, 512},
		{512, 128, 3, -1, 3, 768, 768 - 129, 128},
		{192, 128, 0, 9000, 22, 256, 127, 127}, // 3001 tokens
	} {
		w, err := NewWindows(ids, c.context, c.stride, c.limit, int32(c.bos))
		if err != nil {
			t.Fatal(err)
		}
		if w.Len() != c.windows || w.Sequence != c.length || w.From != c.from || w.ids(1)[0] != int32(c.second) || w.positions() != c.stride {
			t.Errorf("%+v: %d windows of %d from %d, the second begins with %d", c, w.Len(), w.Sequence, w.From, w.ids(1)[0])
		}
		if c.bos >= 0 && w.ids(0)[0] != int32(c.bos) {
			t.Errorf("%+v: begins with %d", c, w.ids(0)[0])
		}
	}
	if _, err := NewWindows(ids[:768], 512, 128, 0, -1); err == nil {
		t.Error("a text of one window was taken")
	}
}
