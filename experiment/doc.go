// Package experiment takes one experiment from its configuration to its result: it opens the model and the texts, has the
// levels built, lays out the search space, lets a strategy ask and an engine answer, records everything, and measures the
// winner on text that the search never saw.
package experiment
