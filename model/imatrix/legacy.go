package imatrix

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/finch-llm/finch/internal/names"
)

// legacyMatrix is the least that a matrix takes: the lengths of its name and of its data, its chunks, one value.
const legacyMatrix = 4 + 4 + 4 + 4

func parseLegacy(data []byte, name string) (*File, error) {
	p := &legacyParser{data: data}
	f, err := p.file()
	if err != nil {
		return nil, fmt.Errorf("%s: byte %d: %w", name, p.pos, err)
	}
	return f, nil
}

type legacyParser struct {
	data []byte
	pos  int
}

func (p *legacyParser) left() int { return len(p.data) - p.pos }

// count reads a number of things of size bytes each that are to follow.
func (p *legacyParser) count(what string, size int) (int, error) {
	if p.left() < 4 {
		return 0, fmt.Errorf("the file ends before the number of %s: it is no importance matrix, or it was cut short", what)
	}
	n := int32(binary.LittleEndian.Uint32(p.data[p.pos:]))
	if n < 0 || int64(n)*int64(size) > int64(p.left()-4) {
		return 0, fmt.Errorf("%d %s do not fit in the %d bytes that are left: it is no importance matrix, or it was cut short", n, what, p.left()-4)
	}
	p.pos += 4
	return int(n), nil
}

func (p *legacyParser) text(what string) (string, error) {
	n, err := p.count(what, 1)
	if err != nil {
		return "", err
	}
	p.pos += n
	return string(p.data[p.pos-n : p.pos]), nil
}

func (p *legacyParser) file() (*File, error) {
	n, err := p.count("matrices", legacyMatrix)
	if err != nil {
		return nil, err
	}
	f := &File{Matrices: make([]Matrix, n)}
	for i := range f.Matrices {
		if err := p.matrix(&f.Matrices[i]); err != nil {
			return nil, err
		}
	}
	if p.left() == 0 {
		return f, nil // files of 2024 and before end here
	}
	if f.Chunks, err = p.count("chunks", 0); err != nil {
		return nil, err
	}
	dataset, err := p.text("bytes of the dataset's name")
	if err != nil {
		return nil, err
	}
	if dataset != "" {
		f.Datasets = []string{dataset}
	}
	if p.left() > 0 {
		return nil, fmt.Errorf("%d bytes are left after its end: it is no importance matrix", p.left())
	}
	return f, nil
}

func (p *legacyParser) matrix(m *Matrix) (err error) {
	if m.Name, err = p.text("bytes of a name"); err != nil {
		return err
	}
	if m.Count, err = p.count("chunks", 0); err != nil {
		return fmt.Errorf("matrix %s: %w", names.Quote(m.Name), err)
	}
	m.Count = max(m.Count, 1) // the oldest files hold means over 0 chunks
	n, err := p.count("inputs", 4)
	if err != nil {
		return fmt.Errorf("matrix %s: %w", names.Quote(m.Name), err)
	}
	m.Squares = make([]float64, n)
	for i := range m.Squares {
		m.Squares[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(p.data[p.pos+4*i:]))) / float64(m.Count)
	}
	p.pos += 4 * n
	return nil
}

// WriteLegacy writes f in the older form. It has room for one dataset, the last, and counts chunks instead of tokens.
func (f *File) WriteLegacy(w io.Writer) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("write the importance matrix: %w", err)
	}
	out := bufio.NewWriter(w) // keeps its first error for Flush
	number := func(n int) { binary.Write(out, binary.LittleEndian, int32(n)) }
	text := func(s string) {
		number(len(s))
		out.WriteString(s)
	}
	number(len(f.Matrices))
	for i := range f.Matrices {
		m := &f.Matrices[i]
		size := max(f.ChunkSize, 1)
		chunks := (m.Count-1)/size + 1
		text(m.Name)
		number(chunks)
		number(len(m.Squares))
		binary.Write(out, binary.LittleEndian, m.scaled(chunks))
	}
	number(f.Chunks)
	dataset := ""
	if n := len(f.Datasets); n > 0 {
		dataset = f.Datasets[n-1]
	}
	text(dataset)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the importance matrix: %w", err)
	}
	return nil
}
