package compress

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"runtime"
	"testing"
)

// Level files that claim much and hold little take memory in proportion to what they hold.
func TestLevelFileMemory(t *testing.T) {
	good := levelBytes(t, mustLevel(t, "sparse-0.50+q4_0"))
	header := binary.LittleEndian.Uint32(good[12:])
	claiming := func(length uint32) []byte {
		data := bytes.Clone(good)
		binary.LittleEndian.PutUint32(data[12:], length)
		return data
	}
	larger := bytes.ReplaceAll(good[preambleBytes:preambleBytes+int(header)], []byte(`"rows":`), []byte(`"rows":9999999`))
	if len(larger) == int(header) {
		t.Fatal("the header does not say how many rows there are")
	}
	grown := append(bytes.Clone(good[:preambleBytes]), larger...)
	binary.LittleEndian.PutUint32(grown[12:], uint32(len(larger)))
	binary.LittleEndian.PutUint32(grown[16:], crc32.ChecksumIEEE(larger))
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"header of 2^32-1 bytes", claiming(1<<32 - 1)},
		{"header of 2^31 bytes", claiming(1 << 31)},
		{"many rows", append(grown, good[preambleBytes+int(header):]...)},
		{"cut", good[:len(good)/2]},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f, err := parseLevelFile(c.data)
			if err == nil {
				_, err = f.matrix()
			}
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Error("accepted")
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > uint64(4*len(c.data)+1<<20) {
				t.Errorf("allocated %d bytes for a file of %d", n, len(c.data))
			}
		})
	}
}
