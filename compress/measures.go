package compress

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// Measures are what is known of the levels of a level database that does not belong into their files, because it is not the same
// each time: how long they took to make, and the errors of their outputs on one text or another.
type Measures struct {
	seconds map[Key]float64
	outputs map[Key]map[string]float64 // by level, then by what the statistics come from
}

// measuresFile holds them in the database's folder: a JSON object on each line, the last one counting. A line that was cut short
// counts as nothing: what it said is measured again.
const measuresFile = "measures.jsonl"

// measure is a line of it: how long a level took to make, or what the error of its outputs is, or both.
type measure struct {
	Key         Key      `json:"key"`
	Seconds     *float64 `json:"seconds,omitempty"`
	Statistics  string   `json:"statistics,omitempty"` // Source.Calibration
	OutputError *float64 `json:"output_error,omitempty"`
}

// ReadMeasures reads those of the database in a folder; there are none if there is no such folder.
func ReadMeasures(dir string) (*Measures, error) {
	m := &Measures{seconds: map[Key]float64{}, outputs: map[Key]map[string]float64{}}
	data, err := os.ReadFile(filepath.Join(dir, measuresFile))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is known of levels: %w", err)
	}
	for line := range bytes.Lines(data) {
		var l measure
		if json.Unmarshal(line, &l) != nil {
			continue
		}
		if l.Seconds != nil {
			m.seconds[l.Key] = *l.Seconds
		}
		if l.OutputError != nil {
			if m.outputs[l.Key] == nil {
				m.outputs[l.Key] = map[string]float64{}
			}
			m.outputs[l.Key][l.Statistics] = *l.OutputError
		}
	}
	return m, nil
}

// Seconds is how long one worker took to make a level, NaN if that is not known. What levels with the same inputs share counts
// for the first of them.
func (m *Measures) Seconds(key Key) float64 {
	if s, ok := m.seconds[key]; ok {
		return s
	}
	return math.NaN()
}

// OutputError is Info.OutputError of a level for statistics with a Source.Calibration, NaN if that is not known.
func (m *Measures) OutputError(key Key, statistics string) float64 {
	if e, ok := m.outputs[key][statistics]; ok {
		return e
	}
	return math.NaN()
}

// statistics lists what the output errors of a level were measured on.
func (m *Measures) statistics(key Key) []string {
	var of []string
	for s := range m.outputs[key] {
		of = append(of, s)
	}
	slices.Sort(of)
	return of
}

// measuresWriter adds lines to the measures of a folder.
type measuresWriter struct{ file *os.File }

func appendMeasures(dir string) (*measuresWriter, error) {
	f, err := os.OpenFile(filepath.Join(dir, measuresFile), os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("write down what is known of levels: %w", err)
	}
	w := &measuresWriter{f}
	if err := w.endLine(); err != nil {
		f.Close()
		return nil, fmt.Errorf("write down what is known of levels: %w", err)
	}
	return w, nil
}

// endLine ends a line that a killed process began.
func (w *measuresWriter) endLine() error {
	info, err := w.file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := w.file.ReadAt(last, info.Size()-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = w.file.Write([]byte("\n"))
	return err
}

// add writes a line, unless there is nothing to say.
func (w *measuresWriter) add(m measure) error {
	if m.Seconds == nil && m.OutputError == nil {
		return nil
	}
	line, err := json.Marshal(m)
	if err == nil {
		_, err = w.file.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write down what is known of levels: %w", err)
	}
	return nil
}

func (w *measuresWriter) close() error { return errors.Join(w.file.Sync(), w.file.Close()) }
