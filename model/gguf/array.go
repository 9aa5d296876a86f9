package gguf

// The decoders below allocate at most four times the encoded size of the array.

// Strings is the value of an array of strings.
func (v Value) Strings() ([]string, bool) {
	if !v.isArrayOf(String) {
		return nil, false
	}
	// One copy of everything, of which the strings are parts: a vocabulary has hundreds of thousands.
	all := string(v.data)
	out := make([]string, 0, v.Len())
	pos := arrayHeader
	for _, e := range v.All() {
		out = append(out, all[pos+stringHeader:pos+len(e.data)])
		pos += len(e.data)
	}
	return out, true
}

// Ints is the value of an array of whole numbers of 16 bits or more; Bytes reads those of 8 bits.
func (v Value) Ints() ([]int64, bool) {
	if !v.isArrayOf(Uint16, Int16, Uint32, Int32, Uint64, Int64) {
		return nil, false
	}
	return decode(v, Value.Int)
}

// Floats is the value of an array of float32 or float64.
func (v Value) Floats() ([]float64, bool) {
	if !v.isArrayOf(Float32, Float64) {
		return nil, false
	}
	return decode(v, Value.Float)
}

// Bools is the value of an array of bools.
func (v Value) Bools() ([]bool, bool) {
	if !v.isArrayOf(Bool) {
		return nil, false
	}
	return decode(v, Value.Bool)
}

// Bytes is the value of an array of uint8 or int8.
func (v Value) Bytes() ([]byte, bool) {
	if !v.isArrayOf(Uint8, Int8) {
		return nil, false
	}
	return append([]byte{}, v.data[arrayHeader:]...), true
}

func (v Value) isArrayOf(types ...ValueType) bool {
	element, ok := v.ElementType()
	if !ok {
		return false
	}
	for _, t := range types {
		if element == t {
			return true
		}
	}
	return false
}

// decode fails if one element does, such as a uint64 that no int64 holds.
func decode[T any](v Value, element func(Value) (T, bool)) ([]T, bool) {
	out := make([]T, 0, v.Len())
	for _, e := range v.All() {
		x, ok := element(e)
		if !ok {
			return nil, false
		}
		out = append(out, x)
	}
	return out, true
}
