package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// modelProto is what SentencePiece's tokenizer.model says about encoding: message ModelProto of sentencepiece_model.proto.
type modelProto struct {
	vocabulary
	kind         modelKind
	byteFallback bool
	bos, eos     string
	unknown      int32 // -1: none
	spec         normalizerSpec
}

// modelKind is TrainerSpec.ModelType.
type modelKind uint64

const (
	unigramModel modelKind = 1
	bpeModel     modelKind = 2
)

// normalizerSpec is message NormalizerSpec.
type normalizerSpec struct {
	charsmap     *charsmap // nil: characters stay as they are
	dummyPrefix  bool      // a space comes in front of text
	removeSpaces bool      // spaces around text go, and all but one between words
	escapeSpaces bool      // spaces become marks
}

// What a piece takes in memory, with the indices over it, and how much more one does that is found in text by itself.
const (
	pieceBytes = 110
	extraBytes = 320
)

// parseModelProto reads a tokenizer.model.
func parseModelProto(data []byte) (*modelProto, error) {
	m := &modelProto{
		kind: unigramModel, bos: "<s>", eos: "</s>", unknown: -1,
		spec: normalizerSpec{dummyPrefix: true, removeSpaces: true, escapeSpaces: true},
	}
	pieces := 0
	if err := readMessage(data, func(f protoField) error {
		if f.id == 1 {
			pieces++
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("not a SentencePiece model: %w", err)
	}
	if pieces == 0 {
		return nil, errors.New("not a SentencePiece model: it has no pieces")
	}
	room := 4*len(data) + 16<<20 - pieces*pieceBytes // memory in proportion to the file, however short its pieces are
	if room < 0 {
		return nil, fmt.Errorf("%d pieces in %d bytes are too many", pieces, len(data))
	}
	m.tokens, m.scores, m.types = make([]string, 0, pieces), make([]float32, 0, pieces), make([]tokenType, 0, pieces)
	err := readMessage(data, func(f protoField) error {
		switch f.id {
		case 1:
			return m.addPiece(f.data)
		case 2:
			return readMessage(f.data, m.trainer)
		case 3:
			return readMessage(f.data, m.spec.set)
		case 5:
			return readMessage(f.data, func(f protoField) error {
				if f.id == 2 && len(f.data) > 0 {
					return errors.New("a denormalizer_spec with a charsmap is not supported")
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, typ := range m.types {
		if typ == controlToken || typ == userDefinedToken || typ == unknownToken {
			room -= extraBytes
		}
	}
	if room < 0 {
		return nil, errors.New("too many control and user-defined pieces for the size of the file")
	}
	return m, m.check()
}

func (m *modelProto) addPiece(message []byte) error {
	var text []byte
	score, typ := float32(0), normalToken
	err := readMessage(message, func(f protoField) error {
		switch f.id {
		case 1:
			text = f.data
		case 2:
			score = math.Float32frombits(uint32(f.number))
		case 3:
			if f.number < uint64(normalToken) || f.number > uint64(byteTokenType) {
				return fmt.Errorf("the unknown type %d", f.number)
			}
			typ = tokenType(f.number)
		}
		return nil
	})
	i := len(m.tokens)
	switch {
	case err != nil:
		return fmt.Errorf("piece %d: %w", i, err)
	case len(text) == 0:
		return fmt.Errorf("piece %d is empty", i)
	case !utf8.Valid(text):
		return fmt.Errorf("piece %d is not UTF-8", i)
	case math.IsNaN(float64(score)) || math.IsInf(float64(score), 0):
		return fmt.Errorf("piece %d has the score %v", i, score)
	case typ == unknownToken && m.unknown >= 0:
		return fmt.Errorf("pieces %d and %d are both of the type unknown", m.unknown, i)
	case typ == unknownToken:
		m.unknown = int32(i)
	}
	m.tokens, m.scores, m.types = append(m.tokens, string(text)), append(m.scores, score), append(m.types, typ)
	return nil
}

// trainer reads a field of message TrainerSpec.
func (m *modelProto) trainer(f protoField) error {
	switch f.id {
	case 3:
		m.kind = modelKind(f.number)
	case 24:
		if f.number != 0 {
			return errors.New("treat_whitespace_as_suffix is not supported")
		}
	case 35:
		m.byteFallback = f.number != 0
	case 46:
		m.bos = string(f.data)
	case 47:
		m.eos = string(f.data)
	}
	return nil
}

// set reads a field of message NormalizerSpec.
func (s *normalizerSpec) set(f protoField) (err error) {
	switch f.id {
	case 2:
		if s.charsmap = nil; len(f.data) > 0 {
			s.charsmap, err = parseCharsmap(f.data)
		}
	case 3:
		s.dummyPrefix = f.number != 0
	case 4:
		s.removeSpaces = f.number != 0
	case 5:
		s.escapeSpaces = f.number != 0
	}
	return err
}

// check refuses what SentencePiece itself refuses, and models that are not supported.
func (m *modelProto) check() error {
	switch {
	case m.kind != unigramModel && m.kind != bpeModel:
		return fmt.Errorf("model type %d is not supported, only unigram (1) and BPE (2) are", m.kind)
	case m.unknown < 0:
		return errors.New("no piece is of the type unknown")
	}
	for i, typ := range m.types {
		if typ == byteTokenType && !m.byteFallback {
			return fmt.Errorf("piece %d stands for a byte, but byte_fallback is off", i)
		}
	}
	if err := m.index(); err != nil {
		return err
	}
	for b := range 256 {
		id, ok := m.ids[byteToken(byte(b))]
		if m.byteFallback && (!ok || m.types[id] != byteTokenType) {
			return fmt.Errorf("byte_fallback is on, but no piece stands for the byte 0x%02X", b)
		}
	}
	return nil
}

// special is the control piece of a text, or -1.
func (m *modelProto) special(text string) int32 {
	if id, ok := m.ids[text]; ok && m.types[id] == controlToken {
		return id
	}
	return -1
}
