package search

const (
	// expectedNoise is what the variance of a difference on one token is taken to be in relation to the squared fitness of a start,
	// until differences have been observed. Of the models tried it was between 0.02 and 0.12.
	expectedNoise = 0.1
	// expectedWeight is how many observations that is worth.
	expectedWeight = 4
)

// noise is by how much the difference between two candidates varies from slice to slice.
type noise struct{ sum, count float64 } // of variances on one token

func (n *noise) expect(fitness float64) {
	if finite(fitness) {
		n.sum, n.count = expectedWeight*expectedNoise*square(fitness), expectedWeight
	}
}

// observe takes note of how far one difference was apart on two slices of so many tokens.
func (n *noise) observe(apart float64, tokens, others int) {
	if finite(apart) {
		n.sum += square(apart) / (1/float64(tokens) + 1/float64(others))
		n.count++
	}
}

// variance of a difference on a slice of so many tokens.
func (n *noise) variance(tokens int) float64 { return n.sum / max(n.count, 1) / float64(tokens) }

// trust is how well predictions of differences have done.
type trust struct{ sum, count float64 } // of squared errors, less the noise of what they were held against

// leastError of predictions in relation to the noise of scores: they are never trusted much more.
const leastError = 0.25

// combine weighs a measured difference and a prediction of it by their precision, and gives the variance of the two together.
func (t *trust) combine(measured, predicted, noise float64) (estimate, variance float64) {
	weight := 0.0
	if t.count > 0 {
		weight = noise / (noise + max(t.sum/t.count, leastError*noise))
	}
	return weight*predicted + (1-weight)*measured, (1 - weight) * noise
}

// observe takes note of a prediction and of what was measured, with this noise.
func (t *trust) observe(measured, predicted, noise float64) {
	t.sum += square(measured-predicted) - noise
	t.count++
}
