package cmd

import (
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/finch-llm/finch/kernels"
)

func newBench() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "how fast this machine scores, and how near to its peak",
		Long: `bench measures finch on this machine. The peak that figures are compared with, the multiply's instructions on registers
alone, is measured in the same rounds: close other programs, but trust the ratios more than the seconds.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newBenchKernels(), newBenchEvaluate(), newBenchLatency(), newBenchSearch())
	return c
}

// measurePeak is the floating-point operations per second of the multiply's instructions on some threads at once.
func measurePeak(path *kernels.Path, threads int) float64 {
	workers := make([]*kernels.Worker, threads)
	for i := range workers {
		workers[i] = path.NewWorker()
		workers[i].Peak(1e6)
	}
	done := make([]int, threads)
	var group sync.WaitGroup
	start := time.Now()
	for i, w := range workers {
		group.Go(func() {
			for time.Since(start) < 20*time.Millisecond {
				done[i] += w.Peak(1e7)
			}
		})
	}
	group.Wait()
	seconds := time.Since(start).Seconds()
	total := 0
	for _, n := range done {
		total += n
	}
	return float64(total) / seconds
}
