package compress

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/finch-llm/finch/kernels"
)

// pinned and pinnedImportant are hashes of the blocks of the searched formats, which no other implementation pins. They must also hold where
// compilers fuse products into sums (arm64, GOAMD64=v3). Where a change of these tables is meant, the Version of
// roundToNearest and magnitude, or that of importanceMatrix, must rise too, or old level databases would mix with new ones.
var pinned = map[kernels.Format]string{
	kernels.IntGroup{Bits: 3, Group: 64}.Format():                   "725ddbca9507708f",
	kernels.IntGroup{Bits: 4, Group: 128, Symmetric: true}.Format(): "f337419a6dbbd83e",

	kernels.IQ4_NL:  "004029f3c63baa4b",
	kernels.IQ4_XS:  "a492a66a023fbb23",
	kernels.IQ3_S:   "b3d1eb294891616b",
	kernels.IQ3_XXS: "89a7ab46afb256ad",
	kernels.IQ2_S:   "d8aafcf5b61463ac",
	kernels.IQ2_XS:  "60ef32ef16384547",
	kernels.IQ2_XXS: "3a6725e1ad46b068",
	kernels.Q6_K:    "64c32b644e3c8fee",
	kernels.Q5_K:    "79daf1724c9c0a07",
	kernels.Q4_K:    "a13432fbf1029064",
	kernels.Q3_K:    "0155a9c8956d052c",
	kernels.Q2_K:    "f8b5ac453ea1725e",
}

var pinnedImportant = map[kernels.Format]string{
	kernels.Q4_0:    "4b1c7275a0d9e688",
	kernels.Q4_1:    "6150da617028b921",
	kernels.Q5_0:    "c6e60ab4cd8661fd",
	kernels.Q5_1:    "0cd4ea7944909277",
	kernels.Q2_K:    "ad5e15ac95a2f33a",
	kernels.Q3_K:    "671fb4e61e419de6",
	kernels.Q4_K:    "341d828a3248fcdf",
	kernels.Q5_K:    "0e9c23c6408ddb44",
	kernels.Q6_K:    "c79e5365a6ad1522",
	kernels.IQ4_NL:  "09bba3d5fc8f9aa8",
	kernels.IQ4_XS:  "823ff70a5ad0457a",
	kernels.IQ3_S:   "6d27aacf75941e3b",
	kernels.IQ3_XXS: "e6a2bf31c1b13667",
	kernels.IQ2_S:   "b55c3d62b8968bca",
	kernels.IQ2_XS:  "b28bea9b758b433a",
	kernels.IQ2_XXS: "b39952e540aa951b",
}

func TestSearchedBlocksArePinned(t *testing.T) {
	const cols = 1024
	w := append(testWeights("heavy", 64, cols), testWeights("mixed", 64, cols)...)
	for _, table := range []struct {
		name       string
		hashes     map[kernels.Format]string
		importance []float64
	}{{"plain", pinned, nil}, {"important", pinnedImportant, testImportance(cols)}} {
		for _, f := range kernels.Formats() {
			want, ok := table.hashes[f]
			if !ok {
				continue
			}
			t.Run(table.name+"/"+f.String(), func(t *testing.T) {
				blocks := make([]byte, f.RowBytes(len(w)))
				EncodeBlocks(blocks, f, w, table.importance)
				if got := fmt.Sprintf("%x", sha256.Sum256(blocks))[:16]; got != want {
					t.Errorf("the blocks' hash is %s, was %s: raise the compressors' Version", got, want)
				}
			})
		}
	}
}
