package safetensors

import (
	"slices"

	"github.com/finch-llm/finch/internal/mmap"
)

// Shards are the names of the files that the index at path names, sorted, whether they are there or not.
func Shards(path string) ([]string, error) {
	m, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	var shards []string
	seen := map[string]bool{}
	err = parseIndex(m.Bytes(), path, func(_, shard string) error {
		if !seen[shard] {
			seen[shard] = true
			shards = append(shards, shard)
		}
		return nil
	})
	slices.Sort(shards)
	return shards, err
}
