package tokenizer

// Most text repeats few short words, so their ids are worth keeping; a cache lives for one call of Encode, which keeps
// Tokenizer immutable. Long pieces seldom come twice.
const (
	maxCachedWord  = 64      // bytes
	maxCachedWords = 1 << 17 // some 20 MB
)

type wordCache struct {
	model model
	words map[string][]int32
}

func newWordCache(m model) *wordCache { return &wordCache{m, make(map[string][]int32)} }

func (c *wordCache) encode(ids []int32, word string) []int32 {
	if len(word) > maxCachedWord {
		return c.model.encode(ids, word)
	}
	if known, ok := c.words[word]; ok {
		return append(ids, known...)
	}
	start := len(ids)
	ids = c.model.encode(ids, word)
	if len(c.words) < maxCachedWords {
		c.words[word] = append([]int32(nil), ids[start:]...)
	}
	return ids
}
