package tokenizer

// symbol is a token in the making: text[start:end] of the piece. Its neighbours are found by index.
type symbol struct {
	id         int32 // -1: not in the vocabulary
	start, end int32
	prev, next int32 // -1: none; a merged-away symbol has start == end
}

// pairRule says whether two neighbours merge, with which rank (lower first) and into which id.
type pairRule func(left, right *symbol) (rank, id int32, ok bool)

// candidate is a possible merge of the symbol at pos with its right neighbour.
type candidate struct {
	rank, pos, id int32
}

// before orders candidates by rank, equal ranks from left to right.
func (a candidate) before(b candidate) bool {
	return a.rank < b.rank || a.rank == b.rank && a.pos < b.pos
}

// merge applies the best merge until none is left, in O(n log n), and returns the surviving symbols in order, reusing
// the memory of symbols.
func merge(symbols []symbol, rule pairRule) []symbol {
	var queue heap
	push := func(pos int32) {
		left := &symbols[pos]
		if left.next < 0 {
			return
		}
		if rank, id, ok := rule(left, &symbols[left.next]); ok {
			queue.push(candidate{rank, pos, id})
		}
	}
	for i := range symbols {
		symbols[i].prev, symbols[i].next = int32(i)-1, int32(i)+1
	}
	if n := len(symbols); n > 0 {
		symbols[n-1].next = -1
	}
	for i := range symbols {
		push(int32(i))
	}
	for len(queue) > 0 {
		top := queue.pop()
		left := &symbols[top.pos]
		if left.start == left.end || left.next < 0 {
			continue
		}
		right := &symbols[left.next]
		// A candidate is out of date once either side has merged with something else.
		if _, id, ok := rule(left, right); !ok || id != top.id {
			continue
		}
		left.id, left.end, left.next = top.id, right.end, right.next
		right.end = right.start
		if left.next >= 0 {
			symbols[left.next].prev = top.pos
		}
		if left.prev >= 0 {
			push(left.prev)
		}
		push(top.pos)
	}
	kept := symbols[:0]
	for _, s := range symbols {
		if s.start != s.end {
			kept = append(kept, s)
		}
	}
	return kept
}

// heap is a binary min-heap. container/heap would box every candidate.
type heap []candidate

func (h *heap) push(c candidate) {
	q := append(*h, c)
	i := len(q) - 1
	for i > 0 && q[i].before(q[(i-1)/2]) {
		q[i], q[(i-1)/2] = q[(i-1)/2], q[i]
		i = (i - 1) / 2
	}
	*h = q
}

func (h *heap) pop() candidate {
	q := *h
	top, last := q[0], len(q)-1
	q[0] = q[last]
	q = q[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if q[child].before(q[least]) {
				least = child
			}
		}
		if least == i {
			break
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
	*h = q
	return top
}
