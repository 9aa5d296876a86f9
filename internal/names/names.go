// Package names finds the entries of a file by name.
package names

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Index finds names by binary search. It takes 4 bytes per name, where a map would take ten times as much: files are not
// trusted to have few.
type Index []int32

// New indexes the names of n entries, at most 2^31 - 1.
func New(n int, name func(int) string) Index {
	x := make(Index, n)
	for i := range x {
		x[i] = int32(i)
	}
	slices.SortFunc(x, func(a, b int32) int {
		return cmp.Or(cmp.Compare(name(int(a)), name(int(b))), cmp.Compare(a, b))
	})
	return x
}

// Find returns the entry with a name, the first of several, or -1. name must be the function given to New.
func (x Index) Find(want string, name func(int) string) int {
	k := sort.Search(len(x), func(k int) bool { return name(int(x[k])) >= want })
	if k == len(x) || name(int(x[k])) != want {
		return -1
	}
	return int(x[k])
}

// Duplicate returns the first entry whose name an earlier entry has, or -1. name must be the function given to New.
func (x Index) Duplicate(name func(int) string) int {
	first := -1
	for k := 1; k < len(x); k++ {
		if i := int(x[k]); name(i) == name(int(x[k-1])) && (first < 0 || i < first) {
			first = i
		}
	}
	return first
}

// Quote quotes a name for a message, shortening what a damaged file may have made long.
func Quote(name string) string {
	const limit = 80
	if len(name) > limit {
		name = strings.ToValidUTF8(name[:limit], "") + "…"
	}
	return fmt.Sprintf("%q", name)
}
