package compress

import "strings"

// closest is the known name with the least edit distance to name, letter case aside; the first among equals.
func closest(name string, known []string) string {
	best, least := "", 0
	for _, k := range known {
		if d := editDistance(strings.ToLower(name), strings.ToLower(k)); best == "" || d < least {
			best, least = k, d
		}
	}
	return best
}

// editDistance is Levenshtein's: the insertions, deletions and replacements of bytes that turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
