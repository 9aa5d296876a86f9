package tokenizer

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// protoField is a field of a protocol buffer message. What it holds decides which of number and data is set.
type protoField struct {
	id     uint64
	number uint64 // of a varint or a fixed-size number, as its bits
	data   []byte // of a string or message: a slice of what is read
}

// Wire types of the encoding (protobuf.dev/programming-guides/encoding).
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wire32     = 5
)

var errMessageEnds = errors.New("the message ends within a field")

// readMessage calls yield for every field of a message in order. It allocates nothing, whatever the message claims.
func readMessage(message []byte, yield func(protoField) error) error {
	for rest := message; len(rest) > 0; {
		at := len(message) - len(rest)
		var f protoField
		var err error
		if f, rest, err = readField(rest); err == nil {
			err = yield(f)
		}
		if err != nil {
			return fmt.Errorf("byte %d: %w", at, err)
		}
	}
	return nil
}

// readField reads the field that b begins with.
func readField(b []byte) (f protoField, rest []byte, err error) {
	tag, n := binary.Uvarint(b)
	if n <= 0 || tag>>3 == 0 {
		return f, nil, errors.New("no field begins here")
	}
	f.id, b = tag>>3, b[n:]
	switch tag & 7 {
	case wireVarint:
		if f.number, n = binary.Uvarint(b); n <= 0 {
			return f, nil, errMessageEnds
		}
	case wire64:
		if n = 8; len(b) < n {
			return f, nil, errMessageEnds
		}
		f.number = binary.LittleEndian.Uint64(b)
	case wire32:
		if n = 4; len(b) < n {
			return f, nil, errMessageEnds
		}
		f.number = uint64(binary.LittleEndian.Uint32(b))
	case wireBytes:
		size, prefix := binary.Uvarint(b)
		if prefix <= 0 || size > uint64(len(b)-prefix) {
			return f, nil, fmt.Errorf("field %d: %w", f.id, errMessageEnds)
		}
		n = prefix + int(size)
		f.data = b[prefix:n]
	default:
		return f, nil, fmt.Errorf("field %d has the unknown wire type %d", f.id, tag&7)
	}
	return f, b[n:], nil
}
