package compress

import (
	"math"
	"slices"

	"github.com/finch-llm/finch/kernels"
)

// codeBook finds the entry of an IQ format's code book that is nearest to a vector of weights, exactly, in any weighted
// norm. The squared error is a sum over the vector's two halves, and a half takes few combinations of values (3⁴ or 8²): so
// their errors are tabulated once, and an entry costs one addition, or nothing where its first half alone is too bad.
type codeBook struct {
	width   int         // weights of a vector: 8 or 4
	values  []float64   // magnitudes
	squares []float64   // of values
	entries [][]float64 // the magnitudes of each entry

	halves [][2]byte // of each entry: the combinations of its halves
	groups []halfGroup
	order  []halfEntry // entries by their first half
}

// halfGroup are the entries with the same first half: order[from:to].
type halfGroup struct {
	half     byte
	from, to int
}

type halfEntry struct {
	half  byte // the second
	index int
}

// newCodeBook takes that of a format.
func newCodeBook(f kernels.Format) *codeBook {
	stored, ok := f.CodeBook()
	if !ok {
		panic("compress: " + f.String() + " has no code book")
	}
	b := &codeBook{width: len(stored.Entries[0])}
	for _, v := range stored.Values {
		b.values = append(b.values, float64(v))
		b.squares = append(b.squares, float64(v*v))
	}
	for _, entry := range stored.Entries {
		values := make([]float64, b.width)
		for i, v := range entry {
			values[i] = b.values[v]
		}
		b.entries = append(b.entries, values)
		half := b.width / 2
		b.halves = append(b.halves, [2]byte{b.combination(entry[:half]), b.combination(entry[half:])})
	}
	indices := make([]int, len(b.entries))
	for i := range indices {
		indices[i] = i
	}
	slices.SortStableFunc(indices, func(i, j int) int { return int(b.halves[i][0]) - int(b.halves[j][0]) })
	for n, i := range indices {
		first, second := b.halves[i][0], b.halves[i][1]
		if n == 0 || b.groups[len(b.groups)-1].half != first {
			b.groups = append(b.groups, halfGroup{half: first, from: n})
		}
		b.groups[len(b.groups)-1].to = n + 1
		b.order = append(b.order, halfEntry{second, i})
	}
	return b
}

// combination numbers the indices of a half as tabulate does: the first one counts fastest.
func (b *codeBook) combination(indices []byte) (n byte) {
	for _, i := range slices.Backward(indices) {
		n = n*byte(len(b.values)) + i
	}
	return n
}

// halfErrors are the errors of all combinations of one half of a vector, less those of zeros, and the least of them: with all
// signs right ([0]), and with the sign of one weight wrong, the one where it does least harm ([1]). As long as a byte counts,
// so that no index needs to be checked.
type halfErrors struct {
	errors [2][256]float64
	least  [2]float64
}

// tabulate adds up the errors Σ w·((a − scale·v)² − a²) = Σ w·(scale·v)² − 2·w·a·scale·v over the weights of a half with
// magnitudes a; a wrong sign makes it a sum of both terms. wa are the products w·a. Errors with a wrong sign are left out
// unless wrong is set.
func (b *codeBook) tabulate(t *halfErrors, wa, w []float64, scale float64, wrong bool) {
	right, other := &t.errors[0], &t.errors[1]
	right[0], other[0] = 0, math.Inf(1)
	t.least = [2]float64{0, math.Inf(1)}
	size := 1
	for i := range wa {
		square, product := float64(w[i]*float64(scale*scale)), float64(2*float64(wa[i]*scale))
		least := [2]float64{math.Inf(1), math.Inf(1)}
		for l := len(b.values) - 1; l >= 0; l-- {
			s, p := float64(square*b.squares[l]), float64(product*b.values[l])
			good, bad := s-p, s+p
			least[0], least[1] = min(least[0], good), min(least[1], bad)
			at := l * size
			if wrong {
				for k, e := range other[:size] {
					other[at+k] = min(e+good, right[k]+bad)
				}
			}
			for k, e := range right[:size] {
				right[at+k] = e + good
			}
		}
		t.least[1] = min(t.least[1]+least[0], t.least[0]+least[1])
		t.least[0] += least[0]
		size *= len(b.values)
	}
}

// nearest is the entry with the least error, all signs right, or one wrong if wrong is 1. hint is an entry that is likely to
// be near: the search stops at once where nothing can beat it.
func (b *codeBook) nearest(first, second *halfErrors, wrong, hint int) (entry int, err float64) {
	if wrong == 0 {
		return b.scan(first, second, 0, 0, hint, math.Inf(1))
	}
	entry, err = b.scan(first, second, 1, 0, hint, math.Inf(1))
	return b.scan(first, second, 0, 1, entry, err)
}

// scan looks for an entry with an error below err, starting with entry; i and j say which errors of the halves count.
func (b *codeBook) scan(first, second *halfErrors, i, j, entry int, err float64) (int, float64) {
	ones, twos, least := &first.errors[i], &second.errors[j], second.least[j]
	if e := ones[b.halves[entry][0]] + twos[b.halves[entry][1]]; e < err {
		err = e
	}
	if first.least[i]+least >= err {
		return entry, err
	}
	for _, g := range b.groups {
		e := ones[g.half]
		if e+least >= err {
			continue
		}
		for _, o := range b.order[g.from:g.to] {
			if sum := e + twos[o.half]; sum < err {
				entry, err = o.index, sum
			}
		}
	}
	return entry, err
}
