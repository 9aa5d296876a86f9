package tokenizer

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// charsmap is SentencePiece's compiled table of replacements (precompiled_charsmap): a double-array trie in the format of
// Darts-clone, whose values are places in a list of texts, each ended by a zero byte.
type charsmap struct {
	units []byte // 32 bits each, little-endian
	texts []byte
}

func parseCharsmap(data []byte) (*charsmap, error) {
	if len(data) < 4 {
		return nil, fmt.Errorf("precompiled_charsmap has %d bytes, too few for its header", len(data))
	}
	size := uint64(binary.LittleEndian.Uint32(data))
	data = data[4:]
	if size == 0 || size%4 != 0 || size > uint64(len(data)) {
		return nil, fmt.Errorf("precompiled_charsmap has a trie of %d bytes, of %d in all", size, len(data))
	}
	c := &charsmap{data[:size], data[size:]}
	if len(c.texts) > 0 && c.texts[len(c.texts)-1] != 0 {
		return nil, fmt.Errorf("precompiled_charsmap ends within a text")
	}
	return c, nil
}

// unit is that at a place of the array; a place outside is a unit that nothing leads on from.
func (c *charsmap) unit(at uint32) (unit uint32, ok bool) {
	if uint64(at)*4+4 > uint64(len(c.units)) {
		return 0, false
	}
	return binary.LittleEndian.Uint32(c.units[at*4:]), true
}

// longest is the replacement of the longest beginning of s that has one, and the length of that beginning, 0 if none has.
func (c *charsmap) longest(s string) (text string, length int) {
	value := uint32(0)
	unit, _ := c.unit(0)
	at := unitOffset(unit)
	for i := range len(s) {
		at ^= uint32(s[i])
		unit, ok := c.unit(at)
		if !ok || unit&(1<<31|0xFF) != uint32(s[i]) { // the label
			break
		}
		at ^= unitOffset(unit)
		if unit>>8&1 == 1 { // a leaf follows
			leaf, ok := c.unit(at)
			if !ok {
				break
			}
			value, length = leaf&(1<<31-1), i+1
		}
	}
	if length == 0 || value >= uint32(len(c.texts)) {
		return "", 0
	}
	rest := c.texts[value:]
	return string(rest[:bytes.IndexByte(rest, 0)]), length
}

// unitOffset is the distance to a unit's children.
func unitOffset(unit uint32) uint32 { return unit >> 10 << (unit >> 6 & 8) }
