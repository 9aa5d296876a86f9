package search

import (
	"fmt"
	"strings"
)

// describedChanges bounds how many changes a description spells out.
const describedChanges = 4

// Describe says how a child differs from its parent, which are genomes of one space: what Candidate.Operator holds of a mutation.
func (o *Operators) Describe(parent, child Genome) string { return describe(o.space, parent, child) }

// describe says how a child differs from its parent: "blk.3.attn_q q4_k>q3_k, blk.7.mlp keep>drop, +2 more". Layers that
// come or go with their gate are not counted.
func describe(space *Space, parent, child Genome) string {
	var text strings.Builder
	changes := 0
	for i := range child {
		site := &space.Sites[i]
		if child[i] == parent[i] || site.Gate >= 0 && child[site.Gate] != parent[site.Gate] {
			continue
		}
		if changes++; changes > describedChanges {
			continue
		}
		if changes > 1 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "%s %s>%s", site.Name, site.Levels[parent[i]].Name, site.Levels[child[i]].Name)
	}
	if changes > describedChanges {
		fmt.Fprintf(&text, ", +%d more", changes-describedChanges)
	}
	return text.String()
}
