package search

import (
	"encoding/hex"
	"fmt"
)

// Genome is one level index for every site of a space, in the order of its sites.
type Genome []uint8

// String encodes a genome as two lower-case hex digits per site.
func (g Genome) String() string { return hex.EncodeToString(g) }

// ParseGenome reads what String writes. Whether the genome belongs to a space is for Space.Check to say.
func ParseGenome(text string) (Genome, error) {
	g, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("genome of %d characters: %w: write two hex digits for each site", len(text), err)
	}
	return g, nil
}
