package model

// Operations is the number of floating-point operations that a block takes for one sequence, a multiplication and an
// addition counting as two: its matrix multiplies and the two products of causal attention. The rest is small beside them.
func (c *Config) Operations(b *Block, sequence int) int64 {
	var n int64
	for _, k := range c.Kinds() {
		if b.Drops(k) {
			continue
		}
		rows, cols := c.Shape(k)
		perToken := 2 * int64(rows) * int64(cols)
		if k.Stacked() {
			perToken = perToken / int64(c.Experts) * int64(c.ExpertsUsed)
		}
		n += perToken * int64(sequence)
	}
	if c.Experts > 0 && !b.DropMLP {
		n += 2 * int64(c.Experts) * int64(c.Hidden) * int64(sequence) // the choice of experts
	}
	if !b.DropAttn {
		seen := int64(sequence)
		if b.Local {
			seen = min(seen, int64(c.Window))
		}
		pairs := seen*(seen+1)/2 + (int64(sequence)-seen)*seen
		n += 4 * pairs * int64(c.Heads) * int64(c.HeadDim)
	}
	return n
}

// HeadOperations is the same for the output matrix.
func (c *Config) HeadOperations(sequence int) int64 {
	return 2 * int64(c.Vocab) * int64(c.Hidden) * int64(sequence)
}

// Inner is the most values that an MLP, or the experts of a mixture, have of each token.
func (c *Config) Inner() int {
	if c.Experts > 0 {
		return max(c.ExpertsUsed*(c.ExpertMLP+c.Hidden), c.SharedMLP)
	}
	return c.MLP
}
