package compress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/finch-llm/finch/internal/atomicfile"
	"github.com/finch-llm/finch/kernels"
)

// Job is one level file to be there: a layer at a level.
type Job struct {
	Layer Source
	Level Level
}

// Build makes the level files of jobs that are missing or damaged (by header or size) in the folder dir, with up to workers
// layers at a time; the weights of a layer are loaded once for all of its levels. The files do not depend on workers or on
// earlier interruptions: whatever is there is whole, and another Build goes on from it. What they do not hold goes into the Measures of
// the folder: the seconds that each level took by clock and, of layers whose second moments are known, the errors of the outputs of all
// levels, those too whose files were there.
//
// progress, if not nil, is called after each job, never by two goroutines at once: done of total jobs are there, with bytes
// of stored weights in all. After the first failure, or when ctx is cancelled, no more levels are begun.
func Build(ctx context.Context, dir string, jobs []Job, workers int, clock func() time.Time, progress func(done, total int, bytes int64)) (err error) {
	for _, j := range jobs {
		if j.Level.Gate() {
			return fmt.Errorf("build %s: level %q stores nothing", j.Layer.Name, j.Level)
		}
		if !utf8.ValidString(j.Layer.Name) {
			return fmt.Errorf("build the levels: the layer name %q is not UTF-8", j.Layer.Name)
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("build the levels: %w", err)
	}
	b := builder{dir: dir, clock: clock, total: len(jobs), progress: progress}
	if b.known, err = ReadMeasures(dir); err != nil {
		return err
	}
	if b.measures, err = appendMeasures(dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.measures.close()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

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
	clock func() time.Time
	known *Measures // when Build began
	total int

	mu       sync.Mutex
	done     int
	bytes    int64
	measures *measuresWriter
	progress func(done, total int, bytes int64)
}

// layer makes and measures what is missing of the jobs of one layer.
func (b *builder) layer(ctx context.Context, jobs []Job) error {
	var s *subject
	for _, j := range jobs {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		path := levelPath(b.dir, j.Layer.Key(j.Level))
		there, file, err := openLevel(path)
		if err == nil && b.measured(j) {
			err = b.finished(there.info.Bytes, measure{})
		} else {
			if s == nil {
				if s, err = load(j.Layer); err != nil {
					return err
				}
			}
			err = b.level(s, j, path, there)
		}
		if file != nil {
			file.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// measured says that there is nothing to find out about a level whose file is there.
func (b *builder) measured(j Job) bool {
	return j.Layer.Statistics == nil || !math.IsNaN(b.known.OutputError(j.Layer.Key(j.Level), j.Layer.Calibration))
}

// subject is a layer with tr(W H Wᵀ), NaN if H is not known.
type subject struct {
	Layer
	outputs float64
}

func load(source Source) (*subject, error) {
	weights, err := source.Load()
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", source.Name, err)
	}
	layer := Layer{Name: source.Name, Rows: source.Rows, Cols: source.Cols, Weights: weights}
	if source.Statistics != nil {
		if layer.Statistics, err = source.Statistics(); err != nil {
			return nil, fmt.Errorf("statistics of %s: %w", source.Name, err)
		}
	}
	return &subject{layer, outputSquares(layer)}, nil
}

// level compresses a layer into its level file, unless that is there, and measures it.
func (b *builder) level(s *subject, j Job, path string, there *levelFile) (err error) {
	var m *kernels.Matrix
	if there != nil {
		m, _ = there.matrix() // nil if its mask is damaged: it is made again
	}
	found, made := measure{Key: j.Layer.Key(j.Level)}, m == nil
	if made {
		layer := s.Layer
		layer.Statistics = layer.Statistics.only(j.Level.Needs()) // a file must not depend on what is built beside it
		start := b.clock()
		if m, err = Compress(layer, j.Level); err != nil {
			return err
		}
		seconds := b.clock().Sub(start).Seconds()
		found.Seconds = &seconds
	}
	info := describe(s.Layer, j.Level, m, s.outputs)
	if made {
		err := atomicfile.Write(path, func(w io.Writer) error { return writeLevelFile(w, info, j.Layer, j.Level, m) })
		if err != nil {
			return err
		}
	}
	if !math.IsNaN(info.OutputError) {
		found.Statistics, found.OutputError = j.Layer.Calibration, &info.OutputError
	}
	return b.finished(info.Bytes, found)
}

// finished counts a job, and keeps what was found out.
func (b *builder) finished(size int64, found measure) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.measures.add(found); err != nil {
		return err
	}
	b.done++
	b.bytes += size
	if b.progress != nil {
		b.progress(b.done, b.total, b.bytes)
	}
	return nil
}
