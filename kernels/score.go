package kernels

/*
#include "kernels.h"
*/
import "C"

import (
	"math"
	"unsafe"
)

// ScoreInput is one text as some students see it just before the output matrix that they share.
type ScoreInput struct {
	Tokens  int
	Hidden  [][]float32     // each student's states after the final norm [students][Tokens, Head.Cols]
	Head    *Matrix         // the output matrix [vocabulary, hidden]
	Softcap float32         // logits are capped: Softcap·tanh(logit/Softcap); 0: they are not
	Targets []int32         // the token that follows each; −1 for none [Tokens]
	Teacher *TeacherTargets // nil: NLL only
}

// TeacherTargets is what KL needs to know of the dense model; PrepareTeacher makes it.
type TeacherTargets struct {
	Hidden   []float32 // states after the final norm [tokens, Head.Cols]
	Head     *Matrix   // output matrix over the same vocabulary
	Softcap  float32   // of the teacher's logits
	LSE      []float64 // log Σ e^t over the vocabulary [tokens]
	KthLogit []float32 // the k-th largest logit, −Inf where k covers the vocabulary; nil: no top-k KL [tokens]
	Top      []int32   // the largest logit's index [tokens]
}

// TokenScore is in nats.
type TokenScore struct {
	NLL float64 // −log q(target); 0 without target
	KL  float64 // Σ p·log(p/q) over the vocabulary, p the teacher's and q the student's; may round to just below 0

	// TopKL is the same over the teacher's k likeliest tokens (all that equal the k-th) and one more outcome for the
	// rest together.
	TopKL float64

	TeacherNLL      float64 // −log p(target); 0 without target or teacher
	Top, TeacherTop int32   // the likeliest token of each; no teacher's is −1
}

// Logits are held for at most scoreTokens × scoreVocab tokens and vocabulary entries, 1 MiB for each model.
// scoreVocab also fixes the order of summation.
const (
	scoreTokens = 1024
	scoreVocab  = 256
)

// Score computes one TokenScore per student and token, out [students][Tokens]. Students that are scored together share the
// teacher's logits, which are computed anew for every block of the vocabulary; a student's scores do not depend on the
// others. Hidden states that are NaN or infinite give NaN, but a cap takes infinite logits for the largest.
func (w *Worker) Score(out [][]TokenScore, in ScoreInput) {
	n := in.Tokens
	check(len(out) == len(in.Hidden) && len(in.Targets) == n, "Score of %d students and %d tokens: out has %d, Targets %d",
		len(in.Hidden), n, len(out), len(in.Targets))
	for s, hidden := range in.Hidden {
		check(len(out[s]) == n && len(hidden) == n*in.Head.Cols, "Score of %d tokens: out has %d, Hidden %d values for %d columns",
			n, len(out[s]), len(hidden), in.Head.Cols)
	}
	in.Head.check()
	for _, target := range in.Targets {
		check(int(target) < in.Head.Rows, "target %d outside a vocabulary of %d", target, in.Head.Rows)
	}
	if t := in.Teacher; t != nil {
		check(t.Head.Rows == in.Head.Rows, "teacher's vocabulary is %d, student's %d", t.Head.Rows, in.Head.Rows)
		check(len(t.Hidden) == n*t.Head.Cols && len(t.LSE) == n && len(t.Top) == n && (t.KthLogit == nil || len(t.KthLogit) == n),
			"teacher of %d tokens: Hidden has %d values, LSE %d, Top %d, KthLogit %d", n, len(t.Hidden), len(t.LSE), len(t.Top), len(t.KthLogit))
		t.Head.check()
	}
	for first := 0; first < n; first += scoreTokens {
		w.scoreBlock(out, in, first, min(n, first+scoreTokens))
	}
}

// scoreBlock scores tokens [first, end).
func (w *Worker) scoreBlock(out [][]TokenScore, in ScoreInput, first, end int) {
	n, cols, teacher := end-first, in.Head.Cols, in.Teacher
	states := make([][]C.struct_head_state, len(in.Hidden)) // [students][n]
	packed := w.packEach(in.Hidden, first, n, cols)
	for s := range states {
		states[s] = newHeadStates(n)
		for i := range states[s] {
			state := &states[s][i]
			state.target = C.int32_t(in.Targets[first+i])
			if teacher != nil {
				state.teacher_scale = C.float(scaleOf(teacher.LSE[first+i]))
				if teacher.KthLogit != nil {
					state.kth = C.float(teacher.KthLogit[first+i])
				}
			}
		}
	}
	logits := w.logits.grow(2 * n * scoreVocab)
	var teacherHidden *C.uint32_t
	var teacherLogits *C.float
	topK := C.int(0)
	if teacher != nil {
		cols := teacher.Head.Cols
		teacherHidden = w.pack(&w.teacher, teacher.Hidden[first*cols:end*cols], n, cols)
		teacherLogits = (*C.float)(unsafe.Add(unsafe.Pointer(logits), 4*n*scoreVocab))
		if teacher.KthLogit != nil {
			topK = 1
		}
	}

	for v := 0; v < in.Head.Rows; v += scoreVocab {
		block := min(scoreVocab, in.Head.Rows-v)
		if teacher != nil {
			w.headLogits(teacherLogits, teacherHidden, n, teacher.Head, teacher.Softcap, v, v+block)
		}
		for s := range states {
			w.headLogits(logits, packed[s], n, in.Head, in.Softcap, v, v+block)
			C.finch_head(w.path.isa, &states[s][0], logits, teacherLogits, scoreVocab, C.int64_t(n), C.int64_t(v), C.int64_t(block), topK)
		}
	}
	for s := range states {
		for i := range states[s] {
			out[s][first+i] = finish(&states[s][i], teacher, first+i)
		}
	}
}

// headLogits computes the logits of vocabulary entries first to end into dst [tokens, scoreVocab].
func (w *Worker) headLogits(dst *C.float, packed *C.uint32_t, tokens int, head *Matrix, softcap float32, first, end int) {
	w.multiply(dst, scoreVocab, packed, tokens, head, first, end)
	w.softcap(dst, scoreVocab, tokens, end-first, softcap)
}

// PrepareTeacher makes the targets of KL from the dense model's states after the final norm, hidden [tokens, head.Cols],
// in one pass over its head, whose logits are capped as ScoreInput says; k > 0 also finds each token's k-th largest logit.
// The result refers to hidden and head. KL is exact only if Score runs on the same path.
func (w *Worker) PrepareTeacher(hidden []float32, tokens int, head *Matrix, softcap float32, k int) TeacherTargets {
	check(len(hidden) == tokens*head.Cols, "%d hidden values for %d tokens of %d columns", len(hidden), tokens, head.Cols)
	head.check()
	t := TeacherTargets{Hidden: hidden, Head: head, Softcap: softcap, LSE: make([]float64, tokens), Top: make([]int32, tokens)}
	if k > 0 {
		t.KthLogit = make([]float32, tokens)
	}
	for first := 0; first < tokens; first += scoreTokens {
		w.prepareBlock(&t, first, min(tokens, first+scoreTokens), min(k, head.Rows))
	}
	return t
}

// prepareBlock fills in tokens [first, end) of t.
func (w *Worker) prepareBlock(t *TeacherTargets, first, end, k int) {
	n, cols := end-first, t.Head.Cols
	states := newHeadStates(n)
	heaps := make([]float32, n*k)
	for i := range heaps {
		heaps[i] = float32(math.Inf(-1))
	}
	hidden := w.pack(&w.x, t.Hidden[first*cols:end*cols], n, cols)
	logits := w.logits.grow(n * scoreVocab)
	for v := 0; v < t.Head.Rows; v += scoreVocab {
		block := min(scoreVocab, t.Head.Rows-v)
		w.headLogits(logits, hidden, n, t.Head, t.Softcap, v, v+block)
		C.finch_head(w.path.isa, &states[0], logits, nil, scoreVocab, C.int64_t(n), C.int64_t(v), C.int64_t(block), 0)
		if k > 0 {
			C.finch_top_k(floats(heaps), C.int64_t(k), logits, scoreVocab, C.int64_t(n), C.int64_t(block))
		}
	}
	for i := range states {
		t.LSE[first+i] = logSumExp(&states[i])
		t.Top[first+i] = int32(states[i].top)
		if k > 0 {
			t.KthLogit[first+i] = heaps[i*k]
		}
	}
}

func newHeadStates(n int) []C.struct_head_state {
	states := make([]C.struct_head_state, n)
	for i := range states {
		states[i].max = C.float(math.Inf(-1))
		states[i].scale = C.float(math.Inf(-1))
		states[i].target = -1
	}
	return states
}

// scaleOf is the power of two nearest to e^lse, as an exponent: the unit of the teacher's sums.
func scaleOf(lse float64) float32 { return float32(math.RoundToEven(lse / math.Ln2)) }

func logSumExp(s *C.struct_head_state) float64 {
	return math.Log(float64(s.sum)) + float64(s.scale)*math.Ln2
}

// finish turns a token's sums into scores. With t and s the logits and p = e^(t − lse_t):
// KL = Σ p·(t − s) − lse_t + lse_s. Probabilities are divided by their sum as computed here, not by e^lse_t, so that the
// rounding of a large e^t cancels where t − s is large for all t.
func finish(s *C.struct_head_state, teacher *TeacherTargets, token int) TokenScore {
	lse := logSumExp(s)
	score := TokenScore{Top: int32(s.top), TeacherTop: -1}
	if s.target >= 0 {
		score.NLL = lse - float64(s.target_logit)
	}
	if teacher == nil {
		return score
	}
	score.TeacherTop = teacher.Top[token]
	if s.target >= 0 {
		score.TeacherNLL = teacher.LSE[token] - float64(s.teacher_logit)
	}
	sum := float64(s.teacher_sum)
	shift := teacher.LSE[token] - lse
	score.KL = float64(s.kl)/sum - shift
	if teacher.KthLogit == nil {
		return score
	}
	// The tails are summed as such: 1 − P would lose them where P rounds to 1.
	p := float64(s.teacher_tail) / sum
	q := float64(s.tail) / float64(s.sum)
	score.TopKL = float64(s.top_kl)/sum - (1-p)*shift
	if p > 0 { // the student's tail may have underflowed: a large number rather than infinity, for the sake of means
		score.TopKL += p * math.Log(p/max(q, math.SmallestNonzeroFloat32))
	}
	return score
}
