package compress

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/finch-llm/finch/kernels"
)

// A level file holds one layer at one level:
//
//	8 bytes   magic "FINCHLVL"
//	uint32    version, 2 (all integers little-endian)
//	uint32    length of the header
//	uint32    CRC-32 (IEEE) of the header
//	          header, JSON as encoding/json writes it
//	          zeros up to a multiple of 64 bytes
//	          payload: the blocks (kernels.Matrix.Data), then the mask if the layer is sparse
const (
	levelMagic     = "FINCHLVL"
	levelVersion   = 2
	preambleBytes  = len(levelMagic) + 12
	maxHeaderBytes = 64 << 10
	payloadAlign   = 64

	// maxLayerWeights keeps every size computed from rows and columns within 63 bits.
	maxLayerWeights = 1 << 48
)

// levelHeader is the JSON header of a level file. SHA256 is that of the payload; the CRC guards the header itself.
type levelHeader struct {
	Layer         string  `json:"layer"`
	Level         string  `json:"level"`
	Compressor    string  `json:"compressor"`
	Version       int     `json:"version"`
	Calibration   string  `json:"calibration,omitempty"` // what statistics of the inputs come from
	Weights       string  `json:"weights"`               // the layer's Hash
	Format        string  `json:"format"`
	Sparse        bool    `json:"sparse"`
	Rows          int     `json:"rows"`
	Cols          int     `json:"cols"`
	Bytes         int64   `json:"bytes"`
	NonZeros      int64   `json:"nonzeros"`
	RelativeError float64 `json:"relative_error"`
	SHA256        string  `json:"sha256"`
}

// levelFile is a level file whose header is sound and whose size is right; payload is not looked at yet.
type levelFile struct {
	header  levelHeader
	info    Info
	payload []byte
}

// key is the one that the header's settings have.
func (f *levelFile) key() Key {
	h := &f.header
	return levelKey(h.Layer, h.Weights, h.Level, h.Compressor, h.Version, h.Calibration)
}

func writeLevelFile(w io.Writer, info Info, source Source, level Level, m *kernels.Matrix) error {
	c := compressorOf(level)
	payload := sha256.New()
	payload.Write(m.Data)
	payload.Write(m.Mask)
	header, err := json.Marshal(levelHeader{
		Layer: info.Layer, Level: info.Level, Compressor: c.Name(), Version: c.Version(), Weights: source.Hash.String(),
		Format: info.Format.String(), Sparse: info.Sparse, Rows: info.Rows, Cols: info.Cols, Bytes: info.Bytes,
		Calibration: source.calibration(level), NonZeros: info.NonZeros, RelativeError: info.RelativeError,
		SHA256: hex.EncodeToString(payload.Sum(nil)),
	})
	if err != nil {
		return err
	}
	if len(header) > maxHeaderBytes {
		return fmt.Errorf("a header of %d bytes is too large: shorten the layer's name", len(header))
	}
	head := binary.LittleEndian.AppendUint32([]byte(levelMagic), levelVersion)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(header)))
	head = binary.LittleEndian.AppendUint32(head, crc32.ChecksumIEEE(header))
	head = append(head, header...)
	head = append(head, make([]byte, payloadOffset(len(header))-len(head))...)
	for _, part := range [][]byte{head, m.Data, m.Mask} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

func payloadOffset(header int) int {
	return (preambleBytes + header + payloadAlign - 1) / payloadAlign * payloadAlign
}

// parseLevelFile checks the header of a level file and that the payload has the size it promises.
func parseLevelFile(data []byte) (*levelFile, error) {
	if len(data) < preambleBytes || string(data[:len(levelMagic)]) != levelMagic {
		return nil, fmt.Errorf("not a level file: it does not begin with %s", levelMagic)
	}
	numbers := data[len(levelMagic):]
	version, length, sum := binary.LittleEndian.Uint32(numbers), binary.LittleEndian.Uint32(numbers[4:]), binary.LittleEndian.Uint32(numbers[8:])
	if version != levelVersion {
		return nil, fmt.Errorf("level file version %d: this finch reads version %d", version, levelVersion)
	}
	if length > maxHeaderBytes || int(length) > len(data)-preambleBytes {
		return nil, fmt.Errorf("the header of %d bytes is longer than a header or the file", length)
	}
	raw := data[preambleBytes : preambleBytes+int(length)]
	if crc32.ChecksumIEEE(raw) != sum {
		return nil, fmt.Errorf("the header is damaged: its checksum differs")
	}
	var h levelHeader
	if err := json.Unmarshal(raw, &h); err != nil {
		return nil, fmt.Errorf("the header is not what finch writes: %w", err)
	}
	// One form only: no unknown or repeated keys, no other spelling of a number.
	if again, err := json.Marshal(h); err != nil || !bytes.Equal(again, raw) {
		return nil, fmt.Errorf("the header is not what finch writes")
	}
	info, err := h.check()
	if err != nil {
		return nil, err
	}
	offset := payloadOffset(len(raw))
	if int64(len(data))-int64(offset) != h.Bytes {
		return nil, fmt.Errorf("the file has %d bytes, its header promises %d", len(data), int64(offset)+h.Bytes)
	}
	return &levelFile{header: h, info: info, payload: data[offset:]}, nil
}

// check refuses a header whose numbers do not fit together.
func (h *levelHeader) check() (Info, error) {
	f, err := kernels.ParseFormat(h.Format)
	if err != nil {
		return Info{}, err
	}
	info := Info{Layer: h.Layer, Level: h.Level, Format: f, Sparse: h.Sparse, Rows: h.Rows, Cols: h.Cols,
		Bytes: h.Bytes, NonZeros: h.NonZeros, RelativeError: h.RelativeError, OutputError: math.NaN()}
	if h.Rows < 1 || h.Cols < 1 || int64(h.Rows) > maxLayerWeights/int64(h.Cols) {
		return Info{}, fmt.Errorf("no layer has %d × %d weights", h.Rows, h.Cols)
	}
	if info.RelativeError < 0 {
		return Info{}, fmt.Errorf("the relative error %g is negative", info.RelativeError)
	}
	if h.Sparse {
		if info.Weights() > maxSparseWeights || f.BlockWeights() > maxSparseBlock || h.Bytes < info.maskBytes() || h.NonZeros < 0 || h.NonZeros > info.Weights() {
			return Info{}, fmt.Errorf("a sparse layer of %d × %d weights in %v cannot have %d non-zeros in %d bytes", h.Rows, h.Cols, f, h.NonZeros, h.Bytes)
		}
		return info, nil
	}
	if h.Cols%f.BlockWeights() != 0 || h.Bytes != int64(h.Rows)*int64(f.RowBytes(h.Cols)) || h.NonZeros != info.Weights() {
		return Info{}, fmt.Errorf("a layer of %d × %d weights in %v cannot have %d bytes", h.Rows, h.Cols, f, h.Bytes)
	}
	return info, nil
}

// maskBytes is the size of a sparse layer's mask.
func (i Info) maskBytes() int64 { return int64(i.Rows) * int64((i.Cols+7)/8) }

// matrix is the stored matrix; it shares the payload's memory. A mask that does not fit the blocks is refused, because
// kernels trust it.
func (f *levelFile) matrix() (*kernels.Matrix, error) {
	m := &kernels.Matrix{Format: f.info.Format, Rows: f.info.Rows, Cols: f.info.Cols, Data: f.payload}
	if !f.info.Sparse {
		return m, nil
	}
	split := f.info.Bytes - f.info.maskBytes()
	m.Data, m.Mask = f.payload[:split:split], f.payload[split:]
	if used := m.Cols % 8; used != 0 {
		stride := (m.Cols + 7) / 8
		for end := stride - 1; end < len(m.Mask); end += stride {
			if m.Mask[end]>>used != 0 {
				return nil, fmt.Errorf("the mask is damaged: row %d has bits beyond its %d columns", end/stride, m.Cols)
			}
		}
	}
	m.IndexRows()
	if n := m.NonZeros(); n != f.info.NonZeros {
		return nil, fmt.Errorf("the mask is damaged: it has %d non-zeros, the header says %d", n, f.info.NonZeros)
	}
	if want := int64(m.RowStart[m.Rows]) * int64(m.Format.BlockBytes()); want != int64(len(m.Data)) {
		return nil, fmt.Errorf("the mask is damaged: it takes %d bytes of blocks, the file has %d", want, len(m.Data))
	}
	return m, nil
}

// checksum compares the payload with its SHA-256.
func (f *levelFile) checksum() error {
	sum := sha256.Sum256(f.payload)
	if hex.EncodeToString(sum[:]) != f.header.SHA256 {
		return fmt.Errorf("the weights are damaged: their checksum differs")
	}
	return nil
}
