package tokenizer

import "slices"

// prefixes is a set of texts, sorted, in which all those that a string begins with are found quickly.
type prefixes struct {
	texts  []string
	bucket [257]int32 // texts[bucket[b]:bucket[b+1]] begin with byte b
}

// newPrefixes takes texts that are sorted, differ and are not empty.
func newPrefixes(texts []string) *prefixes {
	p := &prefixes{texts: texts}
	for b := range 256 {
		p.bucket[b+1] = p.bucket[b]
		for int(p.bucket[b+1]) < len(texts) && texts[p.bucket[b+1]][0] == byte(b) {
			p.bucket[b+1]++
		}
	}
	return p
}

// of calls yield with the index of every text that s begins with, the shortest first. Each further byte of s, which is
// not empty, narrows the range of texts that share the beginning read so far; the shortest of them stands first.
func (p *prefixes) of(s string, yield func(i int)) {
	low, high := int(p.bucket[s[0]]), int(p.bucket[int(s[0])+1])
	for n := 1; low < high; n++ {
		if len(p.texts[low]) == n {
			yield(low)
			low++
		}
		if n == len(s) {
			return
		}
		span, c := p.texts[low:high], s[n]
		from, _ := slices.BinarySearchFunc(span, c, func(t string, c byte) int { return int(t[n]) - int(c) })
		to, _ := slices.BinarySearchFunc(span, int(c)+1, func(t string, c int) int { return int(t[n]) - c })
		low, high = low+from, low+to
	}
}

// longest is the index of the longest text that s begins with, or -1.
func (p *prefixes) longest(s string) int {
	best := -1
	p.of(s, func(i int) { best = i })
	return best
}
