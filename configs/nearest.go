package configs

import (
	"fmt"
	"strconv"
	"strings"
)

// suggest says what to write instead of an unknown word: the nearest known one, if any is near, and all of them.
func suggest(word string, known []string, plural string) string {
	list := fmt.Sprintf("the %s are %s", plural, quoteAll(known))
	if n := nearest(word, known); n != "" {
		return fmt.Sprintf("did you mean %q? (%s)", n, list)
	}
	return list
}

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return strings.Join(quoted, ", ")
}

// nearest is the known word at the smallest edit distance from word, or "" if more than a third of the word, or more
// than one letter of a short one, would change. Ties go to the first.
func nearest(word string, known []string) string {
	const longest = 64 // longer words are near to nothing here
	if len(word) > longest {
		return ""
	}
	best, least := "", max(1, len(word)/3)+1
	for _, k := range known {
		if d := distance(normal(word), normal(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// normal makes case and separators count for nothing.
func normal(word string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "", ".", "").Replace(strings.ToLower(word))
}

// distance is the number of insertions, deletions, replacements and swaps of neighbours between a and b
// (optimal string alignment), in bytes.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
