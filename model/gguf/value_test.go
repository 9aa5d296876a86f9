package gguf

import (
	"math"
	"slices"
	"testing"
)

func TestScalars(t *testing.T) {
	type want struct {
		kind  ValueType
		text  string
		isInt bool
		n     int64
		isU   bool
		u     uint64
		isF   bool
		x     float64
	}
	for _, c := range []struct {
		v Value
		want
	}{
		{ValueOf(uint8(255)), want{kind: Uint8, text: "255", isInt: true, n: 255, isU: true, u: 255}},
		{ValueOf(int8(-1)), want{kind: Int8, text: "-1", isInt: true, n: -1}},
		{ValueOf(uint16(65535)), want{kind: Uint16, text: "65535", isInt: true, n: 65535, isU: true, u: 65535}},
		{ValueOf(int16(-2)), want{kind: Int16, text: "-2", isInt: true, n: -2}},
		{ValueOf(uint32(7)), want{kind: Uint32, text: "7", isInt: true, n: 7, isU: true, u: 7}},
		{ValueOf(int32(math.MinInt32)), want{kind: Int32, text: "-2147483648", isInt: true, n: math.MinInt32}},
		{ValueOf(uint64(math.MaxUint64)), want{kind: Uint64, text: "18446744073709551615", isU: true, u: math.MaxUint64}},
		{ValueOf(int64(5)), want{kind: Int64, text: "5", isInt: true, n: 5, isU: true, u: 5}},
		{ValueOf(float32(0.1)), want{kind: Float32, text: "0.1", isF: true, x: float64(float32(0.1))}},
		{ValueOf(0.1), want{kind: Float64, text: "0.1", isF: true, x: 0.1}},
		{ValueOf(true), want{kind: Bool, text: "true"}},
		{ValueOf("größer"), want{kind: String, text: "größer"}},
	} {
		t.Run(c.kind.String(), func(t *testing.T) {
			if c.v.Type() != c.kind || c.v.String() != c.text {
				t.Errorf("%s %s", c.v.Type(), c.v)
			}
			if n, ok := c.v.Int(); ok != c.isInt || ok && n != c.n {
				t.Errorf("Int is %d, %v", n, ok)
			}
			if u, ok := c.v.Uint(); ok != c.isU || ok && u != c.u {
				t.Errorf("Uint is %d, %v", u, ok)
			}
			if x, ok := c.v.Float(); ok != c.isF || ok && x != c.x {
				t.Errorf("Float is %g, %v", x, ok)
			}
			if b, ok := c.v.Bool(); ok != (c.kind == Bool) || ok && !b {
				t.Errorf("Bool is %v, %v", b, ok)
			}
			if s, ok := c.v.Text(); ok != (c.kind == String) || ok && s != c.text {
				t.Errorf("Text is %q, %v", s, ok)
			}
		})
	}
}

func TestArrays(t *testing.T) {
	if s, ok := ArrayOf([]string{"a", "", "\xff"}).Strings(); !ok || !slices.Equal(s, []string{"a", "", "\xff"}) {
		t.Errorf("Strings: %q, %v", s, ok)
	}
	if n, ok := ArrayOf([]int32{-1, 2}).Ints(); !ok || !slices.Equal(n, []int64{-1, 2}) {
		t.Errorf("Ints: %d, %v", n, ok)
	}
	if n, ok := ArrayOf([]uint64{math.MaxUint64}).Ints(); ok {
		t.Errorf("Ints of 2^64-1: %d", n)
	}
	if x, ok := ArrayOf([]float32{0.5, -2}).Floats(); !ok || !slices.Equal(x, []float64{0.5, -2}) {
		t.Errorf("Floats: %g, %v", x, ok)
	}
	if b, ok := ArrayOf([]bool{true, false}).Bools(); !ok || !slices.Equal(b, []bool{true, false}) {
		t.Errorf("Bools: %v, %v", b, ok)
	}
	if b, ok := ArrayOf([]int8{-1, 1}).Bytes(); !ok || !slices.Equal(b, []byte{255, 1}) {
		t.Errorf("Bytes: %d, %v", b, ok)
	}
	if s, ok := ArrayOf([]string{}).Strings(); !ok || len(s) != 0 {
		t.Errorf("Strings of an empty array: %q, %v", s, ok)
	}
	if _, ok := ValueOf("no array").Strings(); ok {
		t.Error("Strings of a string")
	}
	if _, ok := ArrayOf([]string{"1"}).Ints(); ok {
		t.Error("Ints of strings")
	}
}

func TestArrayText(t *testing.T) {
	v := ArrayOf([]string{"a", "b\n", "c"})
	if got := v.String(); got != `["a", "b\n", "c"]` {
		t.Error(got)
	}
	if got := v.Brief(2); got != `["a", "b\n", … 3 in all]` {
		t.Error(got)
	}
	if got := v.Brief(3); got != v.String() {
		t.Error(got)
	}
}

func TestNestedArrays(t *testing.T) {
	v := ArrayOf([]uint8{1})
	for depth := 2; ; depth++ {
		data := append(appendArrayHeader(nil, Array, 2), v.data...)
		v = Value{Array, append(data, v.data...)}
		if n, err := scan(v.data, v.kind, 0); err != nil || n != len(v.data) {
			if depth != maxDepth+1 {
				t.Errorf("depth %d: %d bytes of %d: %v", depth, n, len(v.data), err)
			}
			break
		}
	}
}
