package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
)

// ValueType is the type of a metadata value.
type ValueType uint32

// The value types of the GGUF specification.
const (
	Uint8 ValueType = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	String
	Array
	Uint64
	Int64
	Float64
	numValueTypes
)

// valueTypes has the encoded size of the types that have a fixed one, else 0.
var valueTypes = [numValueTypes]struct {
	name string
	size int
}{
	Uint8: {"uint8", 1}, Int8: {"int8", 1}, Uint16: {"uint16", 2}, Int16: {"int16", 2}, Uint32: {"uint32", 4},
	Int32: {"int32", 4}, Float32: {"float32", 4}, Bool: {"bool", 1}, String: {"string", 0}, Array: {"array", 0},
	Uint64: {"uint64", 8}, Int64: {"int64", 8}, Float64: {"float64", 8},
}

func (t ValueType) String() string {
	if t >= numValueTypes {
		return fmt.Sprintf("value type %d", uint32(t))
	}
	return valueTypes[t].name
}

// maxDepth bounds arrays of arrays. llama.cpp reads none, and the specification's examples have two levels.
const maxDepth = 4

const (
	stringHeader = 8  // length
	arrayHeader  = 12 // element type, count
)

// minSize is the least number of bytes that a value of type t takes.
func (t ValueType) minSize() int {
	switch t {
	case String:
		return stringHeader
	case Array:
		return arrayHeader
	}
	return valueTypes[t].size
}

var errShort = errors.New("the file ends within the value: it was cut short, copy or download it again")

// scan returns the length of the value of type t at the start of data, or says why there is none.
func scan(data []byte, t ValueType, depth int) (int, error) {
	if t >= numValueTypes {
		return 0, fmt.Errorf("unknown %s", t)
	}
	if len(data) < t.minSize() {
		return 0, errShort
	}
	switch t {
	case Bool:
		if data[0] > 1 {
			return 0, fmt.Errorf("a bool is %d, not 0 or 1", data[0])
		}
	case String:
		n := binary.LittleEndian.Uint64(data)
		if n > uint64(len(data)-stringHeader) {
			return 0, fmt.Errorf("a string of %d bytes is longer than the %d bytes left in the file", n, len(data)-stringHeader)
		}
		return stringHeader + int(n), nil
	case Array:
		return scanArray(data, depth)
	}
	return t.minSize(), nil
}

func scanArray(data []byte, depth int) (int, error) {
	if depth == maxDepth {
		return 0, fmt.Errorf("arrays are nested more than %d deep", maxDepth)
	}
	element, count := ValueType(binary.LittleEndian.Uint32(data)), binary.LittleEndian.Uint64(data[4:])
	if element >= numValueTypes {
		return 0, fmt.Errorf("an array has elements of unknown %s", element)
	}
	left := len(data) - arrayHeader
	if count > uint64(left/element.minSize()) {
		return 0, fmt.Errorf("an array of %d elements (%s) is longer than the %d bytes left in the file", count, element, left)
	}
	if size := valueTypes[element].size; size > 0 && element != Bool {
		return arrayHeader + int(count)*size, nil
	}
	pos := arrayHeader
	for i := range count {
		n, err := scan(data[pos:], element, depth+1)
		if err != nil {
			return 0, fmt.Errorf("element %d of %d: %w", i, count, err)
		}
		pos += n
	}
	return pos, nil
}

// Value is a typed metadata value in its encoded form. A value of a file is a slice of it, gone when the file is closed;
// what the methods return is copied. The zero Value is no value: Write refuses it.
type Value struct {
	kind ValueType
	data []byte
}

func (v Value) Type() ValueType { return v.kind }

// Encoded is the value as the file stores it, without its type.
func (v Value) Encoded() []byte { return v.data }

// Equal reports whether type and encoding are the same; NaN equals itself.
func (v Value) Equal(o Value) bool { return v.kind == o.kind && bytes.Equal(v.data, o.data) }

// Uint is the value of any whole number that is not negative.
func (v Value) Uint() (uint64, bool) {
	if v.kind == Uint64 {
		return v.bits(), true
	}
	n, ok := v.Int()
	return uint64(n), ok && n >= 0
}

// Int is the value of any whole number that fits.
func (v Value) Int() (int64, bool) {
	switch v.kind {
	case Uint8, Uint16, Uint32:
		return int64(v.bits()), true
	case Uint64:
		n := v.bits()
		return int64(n), n <= math.MaxInt64
	case Int8:
		return int64(int8(v.bits())), true
	case Int16:
		return int64(int16(v.bits())), true
	case Int32:
		return int64(int32(v.bits())), true
	case Int64:
		return int64(v.bits()), true
	}
	return 0, false
}

// Float is the value of a float32 or float64.
func (v Value) Float() (float64, bool) {
	switch v.kind {
	case Float32:
		return float64(math.Float32frombits(uint32(v.bits()))), true
	case Float64:
		return math.Float64frombits(v.bits()), true
	}
	return 0, false
}

// Bool is the value of a bool.
func (v Value) Bool() (value, ok bool) {
	if v.kind != Bool {
		return false, false
	}
	return v.bits() == 1, true
}

// Text is the value of a string. Names are UTF-8; tokens of a vocabulary may be any bytes.
func (v Value) Text() (string, bool) {
	if v.kind != String {
		return "", false
	}
	return string(v.data[stringHeader:]), true
}

// bits is the fixed-size number in data, zero-extended.
func (v Value) bits() uint64 {
	var b [8]byte
	copy(b[:], v.data)
	return binary.LittleEndian.Uint64(b[:])
}

// String is the value as text, an array with all of its elements; strings in arrays are quoted.
func (v Value) String() string { return string(v.appendText(nil, math.MaxInt)) }

// Brief is String with no more than n elements of an array, for display.
func (v Value) Brief(n int) string { return string(v.appendText(nil, n)) }

func (v Value) appendText(b []byte, limit int) []byte {
	switch v.kind {
	case Array:
		b = append(b, '[')
		for i, e := range v.All() {
			if i > 0 {
				b = append(b, ", "...)
			}
			if i == limit {
				return fmt.Appendf(b, "… %d in all]", v.Len())
			}
			if e.kind == String {
				b = strconv.AppendQuote(b, string(e.data[stringHeader:]))
			} else {
				b = e.appendText(b, limit)
			}
		}
		return append(b, ']')
	case String:
		return append(b, v.data[stringHeader:]...)
	case Bool:
		return strconv.AppendBool(b, v.bits() == 1)
	case Float32:
		return strconv.AppendFloat(b, float64(math.Float32frombits(uint32(v.bits()))), 'g', -1, 32)
	case Float64:
		return strconv.AppendFloat(b, math.Float64frombits(v.bits()), 'g', -1, 64)
	case Uint64:
		return strconv.AppendUint(b, v.bits(), 10)
	}
	n, _ := v.Int()
	return strconv.AppendInt(b, n, 10)
}

// ElementType is the type of an array's elements; ok is false if v is no array.
func (v Value) ElementType() (t ValueType, ok bool) {
	if v.kind != Array {
		return 0, false
	}
	return ValueType(binary.LittleEndian.Uint32(v.data)), true
}

// Len is the number of elements of an array, 0 for other values.
func (v Value) Len() int {
	if v.kind != Array {
		return 0
	}
	return int(binary.LittleEndian.Uint64(v.data[4:]))
}

// All yields the elements of an array, none for other values.
func (v Value) All() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		element, ok := v.ElementType()
		if !ok {
			return
		}
		rest := v.data[arrayHeader:]
		for i := range v.Len() {
			n, err := scan(rest, element, 0)
			if err != nil {
				panic(err) // the whole value was checked when it was made
			}
			if !yield(i, Value{element, rest[:n:n]}) {
				return
			}
			rest = rest[n:]
		}
	}
}
