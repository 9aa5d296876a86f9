package compress

import "github.com/finch-llm/finch/kernels"

// codeLayout says where the codes of a format's blocks lie. Its weights are w = low + step·q with whole q from 0 to top, low and
// step given by the rest of the block, so that codes can be chosen and written after the scales.
type codeLayout struct {
	format    kernels.Format
	top       float64
	bias      byte // stored is q + bias
	nonlinear bool // the code stands for a value of grid4, from −127 to 113, instead
	planes    []codePlane
}

// codePlane holds some bits of every code, in runs of bytes: each byte of a run has those of weights a run apart, the first
// one's lowest.
type codePlane struct{ offset, width, run int }

// codeLayouts have the plane of the low bits first (kernels/unpack*.go read them).
var codeLayouts = map[kernels.Format]codeLayout{
	kernels.Q4_0:   {top: 15, planes: []codePlane{{2, 4, 16}}},
	kernels.Q4_1:   {top: 15, planes: []codePlane{{4, 4, 16}}},
	kernels.Q5_0:   {top: 31, planes: []codePlane{{6, 4, 16}, {2, 1, 1}}},
	kernels.Q5_1:   {top: 31, planes: []codePlane{{8, 4, 16}, {4, 1, 1}}},
	kernels.Q8_0:   {top: 254, bias: 0x81, planes: []codePlane{{2, 8, 32}}}, // −127 to 127, as ggml writes
	kernels.IQ4_NL: {top: 15, nonlinear: true, planes: []codePlane{{2, 4, 16}}},
	kernels.IQ4_XS: {top: 15, nonlinear: true, planes: []codePlane{{8, 4, 16}}},
	kernels.Q2_K:   {top: 3, planes: []codePlane{{16, 2, 32}}},
	kernels.Q3_K:   {top: 7, planes: []codePlane{{32, 2, 32}, {0, 1, 32}}},
	kernels.Q4_K:   {top: 15, planes: []codePlane{{16, 4, 32}}},
	kernels.Q5_K:   {top: 31, planes: []codePlane{{48, 4, 32}, {16, 1, 32}}},
	kernels.Q6_K:   {top: 63, planes: []codePlane{{0, 4, 64}, {128, 2, 32}}},
}

// codeLayoutOf is the layout of a format, if it has one.
func codeLayoutOf(f kernels.Format) (codeLayout, bool) {
	l, ok := codeLayouts[f]
	if g, isInt := f.IntGroup(); isInt {
		l, ok = intLayout(g), true
	}
	l.format = f
	return l, ok
}

// intLayout is that of integer groups, which store the high bits first.
func intLayout(g kernels.IntGroup) codeLayout {
	widths := g.Planes()
	l := codeLayout{top: float64(int(1)<<g.Bits - 1), planes: make([]codePlane, len(widths))}
	offset := g.HeaderBytes()
	for i, width := range widths {
		run := g.Group * width / 8
		l.planes[len(widths)-1-i] = codePlane{offset, width, run}
		offset += run
	}
	return l
}

// putCodes stores the codes of one block of a format.
func putCodes(block []byte, f kernels.Format, codes []byte) {
	layout := codeLayouts[f]
	layout.put(block, codes)
}

// put stores the codes of one block.
func (l *codeLayout) put(block, codes []byte) {
	below := 0 // bits that are stored already
	for _, p := range l.planes {
		bytes, mask := block[p.offset:], byte(1<<p.width-1)
		for rest := codes; len(rest) > 0; bytes = bytes[p.run:] {
			clear(bytes[:p.run])
			for shift := 0; shift < 8; shift += p.width {
				for i, q := range rest[:p.run] {
					bytes[i] |= (q + l.bias) >> below & mask << shift
				}
				rest = rest[p.run:]
			}
		}
		below += p.width
	}
}

// get reads the codes of one block.
func (l *codeLayout) get(codes, block []byte) {
	clear(codes)
	below := 0
	for _, p := range l.planes {
		bytes, mask := block[p.offset:], byte(1<<p.width-1)
		for rest := codes; len(rest) > 0; bytes = bytes[p.run:] {
			for shift := 0; shift < 8; shift += p.width {
				for i := range rest[:p.run] {
					rest[i] |= bytes[i] >> shift & mask << below
				}
				rest = rest[p.run:]
			}
		}
		below += p.width
	}
	for i := range codes {
		codes[i] -= l.bias
	}
}

// grid reads what the scales of blocks make of their weights: low and step of each.
func (l *codeLayout) grid(low, step []float32, blocks []byte) {
	weights, size := l.format.BlockWeights(), l.format.BlockBytes()
	codes, block := make([]byte, weights), make([]byte, size)
	decode := func(dst []float32, q byte) {
		for i := range codes {
			codes[i] = q
		}
		l.put(block, codes)
		kernels.UnpackBlocks(dst, l.format, block)
	}
	for len(low) > 0 {
		copy(block, blocks)
		decode(low[:weights], 0)
		decode(step[:weights], byte(l.top))
		for i, high := range step[:weights] {
			step[i] = float32((float64(high) - float64(low[i])) / l.top)
		}
		low, step, blocks = low[weights:], step[weights:], blocks[size:]
	}
}

// nearest is the code of the weight nearest to v on a grid, and that weight.
func (l *codeLayout) nearest(v, low, step float64) (code byte, weight float64) {
	if l.nonlinear {
		scale := step * l.top / (grid4[15] - grid4[0])
		code = nearest4(float64(v * reciprocal64(scale)))
		return code, float64(scale * grid4[code])
	}
	q := nearest(float64((v-low)*reciprocal64(step)), l.top)
	return byte(q), low + float64(step*q)
}
