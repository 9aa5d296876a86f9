package evaluator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unsafe"

	"github.com/finch-llm/finch/internal/mmap"
	"github.com/finch-llm/finch/kernels"
	"github.com/finch-llm/finch/model"
	"github.com/finch-llm/finch/model/safetensors"
)

// Base is what has to be kept of a model so that others can be compared with it on a text: instead of logits, its head and
// the states that it turns into logits. A base file is a safetensors file with
//
//	__metadata__   BaseInfo, as text
//	tokens         of the text [sequences, tokens] (I32)
//	hidden         states after the final norm at the scored positions [sequences, positions, hidden] (F32)
//	output.FORMAT  the head as it is stored, as in a packed file
//	sha256         of all bytes of the file before it [32] (U8)
type Base struct {
	BaseInfo
	Corpus *Corpus

	head    *kernels.Matrix
	softcap float32 // of its logits; 0: none
	hidden  []float32
	file    *mmap.File
}

// BaseInfo says what a base is of.
type BaseInfo struct {
	Model     string // as its user named it
	ModelHash string // model.Model.Hash
	Data      string // the text, as its user named it
	Context   int    // tokens, as asked for
	Stride    int    // tokens; 0: none
	Kernels   string // that made the states
	TextHash  string // SHA-256 of the tokens decoded by the model's tokenizer, one sequence after the other
}

const (
	baseFormat  = "finch-base"
	baseVersion = "1"
	baseHead    = "output"
	baseSum     = "sha256"
)

// HashText is what a base's TextHash is for a tokenizer: tokenizers that differ on the text have different ones.
func (c *Corpus) HashText(decode func([]int32) string) string {
	h := sha256.New()
	for i := range c.Len() {
		io.WriteString(h, decode(c.ids(i)))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// WriteBase runs the engine's model over a corpus and writes it as a base file, and returns the scores of all positions
// against the text.
func (e *Engine) WriteBase(ctx context.Context, w io.Writer, c *Corpus, info BaseInfo) ([]kernels.TokenScore, error) {
	width := e.model.Hidden
	states, err := newVectors(c, c.positions()*width, e.options.Targets, e.options.Scratch)
	if err != nil {
		return nil, err
	}
	defer states.close()
	n := c.positions()
	scores := make([]kernels.TokenScore, c.Len()*n)
	_, err = e.score(ctx, []*model.Network{&e.model.Network}, c.Whole(), func(_, i int, p positions) error {
		copy(scores[i*n:], p.scores)
		return states.put(i, p.hidden)
	})
	if err != nil {
		return nil, err
	}
	h := safetensors.Header{
		Metadata: map[string]string{
			"format": baseFormat, "version": baseVersion, "model": info.Model, "model_hash": info.ModelHash, "data": info.Data,
			"context": strconv.Itoa(info.Context), "stride": strconv.Itoa(info.Stride), "kernels": info.Kernels, "text_hash": info.TextHash,
			"softcap": strconv.FormatFloat(e.model.FinalSoftcap, 'g', -1, 32),
		},
		Tensors: append([]safetensors.TensorSpec{
			{Name: "tokens", DType: safetensors.I32, Shape: []int{c.Len(), c.Sequence}},
			{Name: "hidden", DType: safetensors.F32, Shape: []int{c.Len(), n, width}},
			{Name: baseSum, DType: safetensors.U8, Shape: []int{sha256.Size}},
		}, model.PackedTensors(baseHead, e.model.Head)...),
	}
	sum := sha256.New()
	return scores, safetensors.Write(io.MultiWriter(w, sum), h, func(tensor int, w io.Writer) error {
		switch h.Tensors[tensor].Name {
		case "tokens":
			return binary.Write(w, binary.LittleEndian, c.Tokens)
		case "hidden":
			for i := range c.Len() {
				if _, err := w.Write(bytesOf(states.get(i))); err != nil {
					return err
				}
			}
			return nil
		case baseSum: // comes last: of the narrowest type, and after the head by name
			_, err := w.Write(sum.Sum(nil))
			return err
		case baseHead + ".mask":
			_, err := w.Write(e.model.Head.Mask)
			return err
		default:
			_, err := w.Write(e.model.Head.Data)
			return err
		}
	})
}

// OpenBase maps a base file, after comparing all of it with its checksum.
func OpenBase(path string) (*Base, error) {
	b, file, err := mmap.Parse(path, parseBase)
	if err != nil {
		return nil, err
	}
	b.file = file
	return b, nil
}

// Close unmaps the file. No engine may use the base afterwards.
func (b *Base) Close() error { return b.file.Close() }

// IsBase says whether a file calls itself a base.
func IsBase(path string) bool {
	f, err := safetensors.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return f.Metadata["format"] == baseFormat
}

// parseBase reads a base file in data, which the result refers to. Nothing is copied but the tokens.
func parseBase(data []byte, path string) (*Base, error) {
	f, err := safetensors.Parse(data, path)
	if err != nil {
		return nil, err
	}
	b, err := readBase(data, f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

func readBase(data []byte, f *safetensors.File) (*Base, error) {
	meta := f.Metadata
	switch {
	case meta["format"] != baseFormat:
		return nil, errors.New("it is not a base file: finch eval --save-base writes one")
	case meta["version"] != baseVersion:
		return nil, fmt.Errorf("version %q of base files: this finch reads version %s", meta["version"], baseVersion)
	}
	if err := checkSum(data, f); err != nil {
		return nil, err
	}
	b := &Base{BaseInfo: BaseInfo{
		Model: meta["model"], ModelHash: meta["model_hash"], Data: meta["data"], Kernels: meta["kernels"], TextHash: meta["text_hash"],
	}}
	for _, number := range []struct {
		name string
		to   *int
	}{{"context", &b.Context}, {"stride", &b.Stride}} {
		n, err := strconv.Atoi(meta[number.name])
		if err != nil || n < 0 {
			return nil, fmt.Errorf("its %s is %q, which is no number of tokens", number.name, meta[number.name])
		}
		*number.to = n
	}
	softcap, err := strconv.ParseFloat(meta["softcap"], 32)
	if err != nil || !(softcap >= 0) || math.IsInf(softcap, 1) {
		return nil, fmt.Errorf("its softcap is %q, which is no limit of logits", meta["softcap"])
	}
	b.softcap = float32(softcap)
	tokens, okTokens := f.Tensor("tokens")
	hidden, okHidden := f.Tensor("hidden")
	if !okTokens || !okHidden || tokens.DType != safetensors.I32 || hidden.DType != safetensors.F32 || len(tokens.Shape) != 2 || len(hidden.Shape) != 3 {
		return nil, errors.New("the tensors tokens (I32, two dimensions) and hidden (F32, three) are not both there")
	}
	sequences, length, n, width := tokens.Shape[0], tokens.Shape[1], hidden.Shape[1], hidden.Shape[2]
	if sequences < 1 || n < 1 || width < 1 || n >= length || hidden.Shape[0] != sequences {
		return nil, fmt.Errorf("states of shape %d do not belong to tokens of shape %d", hidden.Shape, tokens.Shape)
	}
	if b.head, err = model.PackedMatrix(f, baseHead, width); err != nil {
		return nil, fmt.Errorf("its head: %w", err)
	}
	ids := make([]int32, sequences*length)
	for i := range ids {
		ids[i] = int32(binary.LittleEndian.Uint32(tokens.Data[4*i:]))
		if ids[i] < 0 || int(ids[i]) >= b.head.Rows {
			return nil, fmt.Errorf("token id %d is outside the vocabulary of %d", ids[i], b.head.Rows)
		}
	}
	if b.Corpus, err = NewCorpus(ids, len(ids), length, -1); err != nil {
		return nil, err
	}
	b.Corpus.From = length - 1 - n
	start := unsafe.Pointer(unsafe.SliceData(hidden.Data))
	if uintptr(start)%unsafe.Alignof(float32(0)) != 0 {
		return nil, errors.New("its states are not aligned: another program wrote it")
	}
	b.hidden = unsafe.Slice((*float32)(start), len(hidden.Data)/4)
	return b, nil
}

// checkSum compares the bytes before the checksum, which ends the file, with it.
func checkSum(data []byte, f *safetensors.File) error {
	sum, ok := f.Tensor(baseSum)
	before := len(data) - sha256.Size
	if !ok || len(sum.Data) != sha256.Size || unsafe.SliceData(sum.Data) != &data[before] {
		return errors.New("it does not end with its checksum")
	}
	if is := sha256.Sum256(data[:before]); !bytes.Equal(is[:], sum.Data) {
		return errors.New("its checksum differs: it is damaged; write it again with finch eval --save-base")
	}
	return nil
}

// of is the states of one sequence [positions, hidden].
func (b *Base) of(sequence int) []float32 {
	n := b.Corpus.positions() * b.head.Cols
	return b.hidden[sequence*n : (sequence+1)*n]
}

// recall makes the targets of a base for the sequences of a slice that have none yet.
func (e *Engine) recall(ctx context.Context, slice Slice) (*targets, error) {
	b := e.options.Base
	if slice.Corpus != b.Corpus {
		return nil, fmt.Errorf("%s was kept on another text", b.Model)
	}
	t := e.targets[b.Corpus]
	if t == nil {
		t = &targets{make([]*kernels.TeacherTargets, b.Corpus.Len()), b.head.Cols, &vectors{}}
		e.targets[b.Corpus] = t
	}
	missing := t.missing(slice).Sequences
	return t, e.each(ctx, "the base", len(missing), func(w *worker, i int) error {
		of := w.runner.Worker().PrepareTeacher(b.of(missing[i]), b.Corpus.positions(), b.head, b.softcap, e.options.TopK)
		t.sequences[missing[i]] = &of
		return nil
	})
}
