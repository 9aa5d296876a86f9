package cmd

import (
	"fmt"
	"io"

	"github.com/finch-llm/finch/evaluator"
)

// printComparison prints the tables of llama-perplexity --kl-divergence, in its words and digits.
func printComparison(out io.Writer, c *evaluator.Comparison) {
	line := func(format string, values ...any) { fmt.Fprintf(out, format+"\n", values...) }
	mean := func(name string, e evaluator.Estimate) { line("%-30s: %10.6f ± %10.6f", name, e.Value, e.Error) }
	line("\n====== Perplexity statistics ======")
	mean("Mean PPL(Q)", c.PPL)
	mean("Mean PPL(base)", c.PPLBase)
	line("Cor(ln(PPL(Q)), ln(PPL(base))): %6.2f%%", 100*c.Correlation)
	mean("Mean ln(PPL(Q)/PPL(base))", c.LogRatio)
	mean("Mean PPL(Q)/PPL(base)", c.Ratio)
	mean("Mean PPL(Q)-PPL(base)", c.Difference)

	line("\n====== KL divergence statistics ======")
	line("Mean    KLD: %10.6f ± %10.6f", c.KLD.Value, c.KLD.Error)
	for _, q := range c.KLDs {
		line("%-7s KLD: %10.6f", quantileName(q), q.Value)
	}

	line("\n====== Token probability statistics ======")
	percent := func(name string, e evaluator.Estimate) { line("%s: %6.3f ± %5.3f %%", name, 100*e.Value, 100*e.Error) }
	percent("Mean    Δp", c.DeltaP)
	for _, q := range c.DeltaPs {
		line("%-7s Δp: %6.3f%%", quantileName(q), 100*q.Value)
	}
	percent("RMS Δp    ", c.RMSDeltaP)
	percent("Same top p", c.SameTop)
}

// quantileName is llama.cpp's name of a quantile.
func quantileName(q evaluator.Quantile) string {
	switch q.Fraction {
	case 0:
		return "Minimum"
	case 0.5:
		return "Median"
	case 1:
		return "Maximum"
	}
	return fmt.Sprintf("%4.1f%%", 100*q.Fraction)
}
