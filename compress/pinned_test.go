package compress

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

// pinned are hashes of the blocks of the searched formats, which no other implementation pins. They must also hold where
// compilers fuse products into sums (arm64, GOAMD64=v3). Where a change of this table is meant, the Version of
// roundToNearest and magnitude must rise too, or old level databases would mix with new ones.
var pinned = map[kernels.Format]string{
	kernels.IntGroup{Bits: 3, Group: 64}.Format():                   "725ddbca9507708f",
	kernels.IntGroup{Bits: 4, Group: 128, Symmetric: true}.Format(): "f337419a6dbbd83e",

	kernels.IQ4_NL: "004029f3c63baa4b",
	kernels.Q6_K:   "64c32b644e3c8fee",
	kernels.Q5_K:   "79daf1724c9c0a07",
	kernels.Q4_K:   "a13432fbf1029064",
	kernels.Q3_K:   "0155a9c8956d052c",
	kernels.Q2_K:   "f8b5ac453ea1725e",
}

func TestSearchedBlocksArePinned(t *testing.T) {
	w := append(testWeights("heavy", 64, 1024), testWeights("mixed", 64, 1024)...)
	for _, f := range kernels.Formats() {
		want, ok := pinned[f]
		if !ok {
			continue
		}
		t.Run(f.String(), func(t *testing.T) {
			if got := fmt.Sprintf("%x", sha256.Sum256(encode(f, w)))[:16]; got != want {
				t.Errorf("the blocks' hash is %s, was %s: raise the compressors' Version", got, want)
			}
		})
	}
}
