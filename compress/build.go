package compress

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"unicode/utf8"

	"github.com/finch-llm/finch/internal/atomicfile"
)

// Job is one level file to be there: a layer at a level.
type Job struct {
	Layer Source
	Level Level
}

// Build makes the level files of jobs that are missing or damaged (by header or size) in the folder dir, with up to workers
// layers at a time; the weights of a layer are loaded once for all of its levels. The files do not depend on workers or on
// earlier interruptions: whatever is there is whole, and another Build goes on from it.
//
// progress, if not nil, is called after each job, never by two goroutines at once: done of total jobs are there, with bytes
// of stored weights in all. After the first failure, or when ctx is cancelled, no more levels are begun.
func Build(ctx context.Context, dir string, jobs []Job, workers int, progress func(done, total int, bytes int64)) error {
	for _, j := range jobs {
		if j.Level.Gate() {
			return fmt.Errorf("build %s: level %q stores nothing", j.Layer.Name, j.Level)
		}
		if !utf8.ValidString(j.Layer.Name) {
			return fmt.Errorf("build the levels: the layer name %q is not UTF-8", j.Layer.Name)
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("build the levels: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	b := builder{dir: dir, total: len(jobs), progress: progress}

	layers := make(chan []Job)
	var group sync.WaitGroup
	for range max(1, workers) {
		group.Go(func() {
			for layer := range layers {
				if err := b.layer(ctx, layer); err != nil {
					cancel(err) // the first cause stays
				}
			}
		})
	}
	for _, layer := range byLayer(jobs) {
		select {
		case layers <- layer:
		case <-ctx.Done():
		}
	}
	close(layers)
	group.Wait()
	return context.Cause(ctx)
}

// Built says that there is a level file for a key in the folder dir, whole by header and size: one that Build would not make.
func Built(dir string, key Key) bool {
	_, file, err := openLevel(levelPath(dir, key))
	if err != nil {
		return false
	}
	file.Close()
	return true
}

// byLayer groups jobs whose weights are the same, in order of first appearance.
func byLayer(jobs []Job) [][]Job {
	type identity struct {
		name string
		hash Hash
	}
	var layers [][]Job
	index := map[identity]int{}
	for _, j := range jobs {
		id := identity{j.Layer.Name, j.Layer.Hash}
		i, ok := index[id]
		if !ok {
			i = len(layers)
			index[id] = i
			layers = append(layers, nil)
		}
		layers[i] = append(layers[i], j)
	}
	return layers
}

type builder struct {
	dir   string
	total int

	mu       sync.Mutex
	done     int
	bytes    int64
	progress func(done, total int, bytes int64)
}

// layer makes what is missing of the jobs of one layer.
func (b *builder) layer(ctx context.Context, jobs []Job) error {
	var layer Layer
	for _, j := range jobs {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		path := levelPath(b.dir, j.Layer.Key(j.Level))
		if level, file, err := openLevel(path); err == nil {
			b.finished(level.info.Bytes)
			file.Close()
			continue
		}
		if layer.Weights == nil {
			weights, err := j.Layer.Load()
			if err != nil {
				return fmt.Errorf("load %s: %w", j.Layer.Name, err)
			}
			layer = Layer{Name: j.Layer.Name, Rows: j.Layer.Rows, Cols: j.Layer.Cols, Weights: weights}
		}
		if j.Level.Needs() != NeedsNothing && layer.Statistics == nil && j.Layer.Statistics != nil {
			statistics, err := j.Layer.Statistics()
			if err != nil {
				return fmt.Errorf("statistics of %s: %w", j.Layer.Name, err)
			}
			layer.Statistics = statistics
		}
		size, err := writeLevel(path, layer, j)
		if err != nil {
			return err
		}
		b.finished(size)
	}
	return nil
}

// writeLevel compresses a layer into its level file and returns the stored size of the weights.
func writeLevel(path string, layer Layer, j Job) (int64, error) {
	layer.Statistics = layer.Statistics.only(j.Level.Needs()) // a file must not depend on what is built beside it
	m, err := Compress(layer, j.Level)
	if err != nil {
		return 0, err
	}
	info := Describe(layer, j.Level, m)
	err = atomicfile.Write(path, func(w io.Writer) error {
		return writeLevelFile(w, info, j.Layer, j.Level, m)
	})
	return info.Bytes, err
}

func (b *builder) finished(size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done++
	b.bytes += size
	if b.progress != nil {
		b.progress(b.done, b.total, b.bytes)
	}
}
