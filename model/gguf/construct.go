package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Scalar lists the Go types of the GGUF values that are no arrays.
type Scalar interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 | float32 | float64 | bool | string
}

// ValueOf makes a value of the GGUF type that x has in Go.
func ValueOf[T Scalar](x T) Value {
	return Value{scalarType[T](), appendScalar(nil, x)}
}

// ArrayOf makes an array of the GGUF type that the elements have in Go.
func ArrayOf[T Scalar](xs []T) Value {
	data := appendArrayHeader(nil, scalarType[T](), len(xs))
	for _, x := range xs {
		data = appendScalar(data, x)
	}
	return Value{Array, data}
}

// check reports whether v is a whole value.
func (v Value) check() error {
	n, err := scan(v.data, v.kind, 0)
	if err == nil && n != len(v.data) {
		err = errors.New("more bytes than the value has")
	}
	return err
}

func scalarType[T Scalar]() ValueType {
	var zero T
	switch any(zero).(type) {
	case uint8:
		return Uint8
	case int8:
		return Int8
	case uint16:
		return Uint16
	case int16:
		return Int16
	case uint32:
		return Uint32
	case int32:
		return Int32
	case uint64:
		return Uint64
	case int64:
		return Int64
	case float32:
		return Float32
	case float64:
		return Float64
	case bool:
		return Bool
	default:
		return String
	}
}

func appendScalar(b []byte, x any) []byte {
	le := binary.LittleEndian
	switch x := x.(type) {
	case uint8:
		return append(b, x)
	case int8:
		return append(b, byte(x))
	case uint16:
		return le.AppendUint16(b, x)
	case int16:
		return le.AppendUint16(b, uint16(x))
	case uint32:
		return le.AppendUint32(b, x)
	case int32:
		return le.AppendUint32(b, uint32(x))
	case uint64:
		return le.AppendUint64(b, x)
	case int64:
		return le.AppendUint64(b, uint64(x))
	case float32:
		return le.AppendUint32(b, math.Float32bits(x))
	case float64:
		return le.AppendUint64(b, math.Float64bits(x))
	case bool:
		if x {
			return append(b, 1)
		}
		return append(b, 0)
	case string:
		return appendString(b, x)
	}
	panic(fmt.Sprintf("%T is no GGUF scalar", x))
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

func appendArrayHeader(b []byte, element ValueType, count int) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(element))
	return binary.LittleEndian.AppendUint64(b, uint64(count))
}
