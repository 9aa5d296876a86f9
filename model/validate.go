package model

import (
	"fmt"
	"math"

	"github.com/finch-llm/finch/kernels"
)

// validate refuses a configuration that cannot be run.
func (c *Config) validate() error {
	type size struct {
		name  string
		value int
	}
	positive := []size{
		{"hidden size", c.Hidden}, {"attention heads", c.Heads}, {"key/value heads", c.KVHeads},
		{"head dimension", c.HeadDim}, {"blocks", c.Blocks}, {"vocabulary", c.Vocab}, {"context length", c.Context},
	}
	d := c.design()
	if d.mixture() {
		positive = append(positive, size{"experts", c.Experts}, size{"experts for each token", c.ExpertsUsed}, size{"size of an expert", c.ExpertMLP})
	} else {
		positive = append(positive, size{"MLP size", c.MLP})
	}
	if d.layers[FFNDownShexp] != "" {
		positive = append(positive, size{"size of the shared expert", c.SharedMLP})
	}
	for _, p := range positive {
		if p.value <= 0 || p.value > 1<<24 {
			return fmt.Errorf("%s is %d", p.name, p.value)
		}
	}
	switch {
	case c.Heads%c.KVHeads != 0:
		return fmt.Errorf("%d attention heads cannot share %d key/value heads evenly", c.Heads, c.KVHeads)
	case !(c.NormEps > 0):
		return fmt.Errorf("the norm epsilon %v must be positive", c.NormEps)
	case c.Blocks > maxBlocks:
		return fmt.Errorf("%d blocks are more than any model has: finch reads up to %d", c.Blocks, maxBlocks)
	case c.ExpertsUsed > c.Experts:
		return fmt.Errorf("each token uses %d experts of %d", c.ExpertsUsed, c.Experts)
	case c.Window < 0:
		return fmt.Errorf("the window of attention is %d", c.Window)
	case !number(c.AttentionScale) || !number(c.AttentionSoftcap) || !number(c.FinalSoftcap):
		return fmt.Errorf("the attention scale %v and the limits %v and %v of scores and logits must not be negative or infinite", c.AttentionScale, c.AttentionSoftcap, c.FinalSoftcap)
	case d.learned:
		return nil
	case c.Rotary()%2 != 0 || c.Rotary() > c.HeadDim:
		return fmt.Errorf("%d of %d dimensions of each head are to be rotated: rotary embedding needs pairs", c.Rotary(), c.HeadDim)
	case !(c.RopeTheta > 0) || !(c.LocalTheta >= 0):
		return fmt.Errorf("rope theta %v and %v must be positive", c.RopeTheta, c.LocalTheta)
	case c.Scaling != nil:
		return c.Scaling.check(c.Rotary())
	}
	return nil
}

// number says whether x is finite and not negative.
func number(x float64) bool { return x >= 0 && !math.IsInf(x, 1) }

// checkShapes checks that every matrix has the shape that the configuration says.
func (m *Model) checkShapes() error {
	c := &m.Config
	for b := range m.Network.Blocks {
		block := &m.Network.Blocks[b]
		for _, k := range c.Kinds() {
			rows, cols := c.Shape(k)
			if l := block.Layers[k]; !block.Drops(k) && (l.Rows != rows || l.Cols != cols) {
				return fmt.Errorf("%s: tensor %s.weight is [%d, %d], the configuration says [%d, %d]", m.Ref, LayerName(b, k), l.Rows, l.Cols, rows, cols)
			}
		}
	}
	for _, t := range []struct {
		name string
		m    *kernels.Matrix
		rows int
	}{{tokenEmbedding, m.Embedding, c.Vocab}, {outputHead, m.Head, c.Vocab}, {positions, m.Positions, c.Context}} {
		if t.m != nil && (t.m.Rows != t.rows || t.m.Cols != c.Hidden) {
			return fmt.Errorf("%s: tensor %s.weight is [%d, %d], the configuration says [%d, %d]", m.Ref, t.name, t.m.Rows, t.m.Cols, t.rows, c.Hidden)
		}
	}
	return nil
}
