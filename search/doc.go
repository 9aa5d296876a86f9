// Package search holds the strategies that decide which candidate is scored next.
//
// A strategy asks and is told: Ask returns a batch of candidates, the caller scores them in whatever way and order it
// likes, and Tell hands the fitness values back. The package performs no I/O, reads no clock and
// knows nothing of weights: it sees sites, levels and what they cost ([Space]).
//
// A strategy is a pure function of the space, the settings, the seed and the scores it was told. Every random draw
// comes from (seed, generation, slot), never from a stream that runs on, so a run that was killed is resumed by
// replaying its recorded scores through Ask and Tell.
//
// The methods (see [Methods]) start from EvoPress: Sieberling et al., "EvoPress: Accurate Dynamic Model Compression via
// Evolutionary Search", arXiv 2410.14649. A further method is one file and one line in the registry; it finds its
// genetic operators, which keep every individual within the budget, in [Individual].
package search
