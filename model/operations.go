package model

// Operations is the number of floating-point operations that a block takes for one sequence, a multiplication and an
// addition counting as two: its matrix multiplies and the two products of causal attention. The rest is small beside them.
func (c *Config) Operations(b *Block, sequence int) int64 {
	var n int64
	for k := range NumKinds {
		if !b.Drops(k) {
			rows, cols := c.Shape(k)
			n += 2 * int64(rows) * int64(cols) * int64(sequence)
		}
	}
	if !b.DropAttn {
		pairs := int64(sequence) * int64(sequence+1) / 2
		n += 4 * pairs * int64(c.Heads) * int64(c.HeadDim)
	}
	return n
}

// HeadOperations is the same for the output matrix.
func (c *Config) HeadOperations(sequence int) int64 {
	return 2 * int64(c.Vocab) * int64(c.Hidden) * int64(sequence)
}
