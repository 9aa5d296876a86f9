package kernels

import "fmt"

// IntGroup is finch's format for levels of integer codes in groups, as GPTQ and its kin make them: w = scale·(q − zero) with
// codes q of Bits bits. One block is one group of consecutive weights of a row:
//
//	2 bytes   scale, binary16
//	1 byte    zero; not there if Symmetric, where zero is 2^(Bits−1)
//	          the codes, cut into planes: of 8 bits, or of the 4, 2 and 1 bits that make up Bits, high bits first
//
// A plane of p bits has n = Group·p/8 bytes: weight i has bits p·⌊i/n⌋ to p·⌊i/n⌋ + p − 1 of byte i mod n, so that runs of n
// weights are read with one shift and one mask.
type IntGroup struct {
	Bits      int // 2 to 8
	Group     int // 32, 64 or 128 weights
	Symmetric bool
}

// MinIntGroup is the smallest Group.
const MinIntGroup = 32

const (
	minIntBits   = 2
	maxIntBits   = 8
	intGroupings = 3 // of 32, 64 and 128 weights
	maxIntGroup  = MinIntGroup << (intGroupings - 1)
	numIntGroups = (maxIntBits - minIntBits + 1) * intGroupings * 2
)

// IntGroup is what a format consists of, if it is one of integer groups.
func (f Format) IntGroup() (IntGroup, bool) {
	if f < firstInt {
		return IntGroup{}, false
	}
	n := int(f - firstInt)
	return IntGroup{minIntBits + n/(2*intGroupings), MinIntGroup << (n / 2 % intGroupings), n%2 == 1}, true
}

// Format is the format of g. It panics if there is none.
func (g IntGroup) Format() Format {
	for f := firstInt; f < numFormats; f++ {
		if have, _ := f.IntGroup(); have == g {
			return f
		}
	}
	panic(fmt.Sprintf("kernels: no format has the groups %+v", g))
}

// String is the format's name: "int3-g64", "int4-g128-sym".
func (g IntGroup) String() string {
	name := fmt.Sprintf("int%d-g%d", g.Bits, g.Group)
	if g.Symmetric {
		name += "-sym"
	}
	return name
}

// HeaderBytes is the size of a block before its planes.
func (g IntGroup) HeaderBytes() int {
	if g.Symmetric {
		return 2
	}
	return 3
}

// Planes are the widths of the planes of a block in bits, in order.
func (g IntGroup) Planes() []int {
	planes := make([]int, 0, 3)
	for width := 8; width > 0; width /= 2 {
		if g.Bits&width != 0 {
			planes = append(planes, width)
		}
	}
	return planes
}

func withIntGroups(formats [numFormats]formatInfo) [numFormats]formatInfo {
	for f := firstInt; f < numFormats; f++ {
		g, _ := f.IntGroup()
		formats[f] = formatInfo{g.String(), g.Group, g.HeaderBytes() + g.Group*g.Bits/8}
	}
	return formats
}

func (g IntGroup) unpack(dst []float32, src []byte) {
	var codes [maxIntGroup]uint8
	zero := g.Codes(codes[:g.Group], src)
	scale := half(src)
	for i := range dst {
		dst[i] = scale * float32(int(codes[i])-int(zero))
	}
}

// Codes takes the codes [Group] out of a block, and returns their zero point.
func (g IntGroup) Codes(codes []uint8, src []byte) (zero uint8) {
	zero = 1 << (g.Bits - 1)
	if !g.Symmetric {
		zero = src[2]
	}
	clear(codes)
	src = src[g.HeaderBytes():]
	for _, width := range g.Planes() {
		size := g.Group * width / 8
		for run := range 8 / width {
			for i, b := range src[:size] {
				q := &codes[run*size+i]
				*q = *q<<width | b>>(run*width)&(1<<width-1)
			}
		}
		src = src[size:]
	}
	return zero
}
