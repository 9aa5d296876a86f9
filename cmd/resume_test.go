//go:build unix

package cmd_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/finch-llm/finch/store"
)

// More of them: go test ./cmd -run TestKill -v -args -kills 200 -seed 7
var (
	kills = flag.Int("kills", 12, "how often TestKill kills a run")
	seed  = flag.Uint64("seed", 0, "seed of the moments of killing; 0: another each time")
)

// TestKill kills runs at random moments until each is done in the end. It must leave what a run leaves that nobody killed.
func TestKill(t *testing.T) {
	whole := progressOf(t, finishedRun(t))
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", *seed)
	rng := rand.New(rand.NewPCG(*seed, 0))
	// One moment in each of as many equal parts of the run, three of them to a folder.
	moments := make([]float64, *kills)
	for i := range moments {
		moments[i] = (float64(i) + rng.Float64()) / float64(*kills) * whole
	}
	rng.Shuffle(len(moments), func(i, j int) { moments[i], moments[j] = moments[j], moments[i] })
	phases := map[string]int{}
	for folder := range slices.Chunk(moments, 3) {
		slices.Sort(folder)
		dir := experiments(t)
		for _, moment := range folder {
			delay := time.Duration(rng.Float64() / whole * float64(finished.took))
			phases[killed(t, dir, moment, delay)]++
		}
		wantSame(t, dir)
	}
	t.Logf("killed in these phases: %v", phases)
	if 2*phases["not killed"] > *kills {
		t.Errorf("most runs ended before they could be killed")
	}
}

// killed runs the experiments in a folder up to a moment and a delay, ends the process, and says what it was doing.
func killed(t *testing.T, dir string, moment float64, delay time.Duration) string {
	t.Helper()
	c, r := command(t, dir, "run", "two.toml", "--threads", "2")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := after(dir, moment, func() { c.Wait() })
	if !ended {
		time.Sleep(delay)
		c.Process.Kill()
	}
	for c.ProcessState == nil { // Wait is in the other goroutine
		time.Sleep(time.Millisecond)
	}
	switch state := r(); {
	case state.code == 0:
		return "not killed"
	case state.code != -1:
		t.Fatalf("exit code %d\n%s", state.code, state.stderr)
	}
	return phase(t, dir)
}
