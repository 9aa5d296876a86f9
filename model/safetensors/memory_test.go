package safetensors

import (
	"fmt"
	"strings"
	"testing"

	"github.com/finch-llm/finch/internal/damaged"
)

// TestMemory: the files that take most memory for their size stay below 4 × size + 16 MiB, garbage included; those whose
// number of entries only the size bounds need much less than the 16 MiB.
func TestMemory(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	const small = `"%05x":{"dtype":"I8","shape":[0],"data_offsets":[0,0]}`
	for _, c := range []struct {
		name   string
		header string
		ok     bool
		extra  int // on top of 4 × size
	}{
		{"100000 tensors", `{` + many(100_000, `"model.layers.%d.mlp.up_proj.weight":{"dtype":"BF16","shape":[0,4096],"data_offsets":[0,0]}`) + `}`, true, 1 << 20},
		{"small tensors", `{` + many(100_000, small) + `}`, true, 1 << 20},
		{"dtype everywhere", `{` + strings.Repeat(`"dtype"`, 1<<18), false, 1 << 20},
		{"many dimensions", `{` + many(20_000, `"%05x":{"dtype":"I8","shape":[`+strings.Repeat("0,", 63)+`0],"data_offsets":[0,0]}`) + `}`, true, 1 << 20},
		{"large metadata", `{"__metadata__":{` + many(maxMetadata, `"%x":""`) + `}}`, true, 16 << 20},
		{"too large metadata", `{"__metadata__":{` + many(1<<18, `"%x":""`) + `}}`, false, 16 << 20},
		{"escapes", `{"` + strings.Repeat(`\u0061`, 1<<18) + `":{}}`, false, 1 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := raw(c.header, 0)
			var err error
			got := damaged.Allocated(func() { _, err = Parse(data, "memory") })
			if (err == nil) != c.ok {
				t.Fatal(err)
			}
			t.Logf("%.2f bytes for each byte of the file", float64(got)/float64(len(data)))
			if got > uint64(4*len(data)+c.extra) {
				t.Errorf("allocated %d bytes for a file of %d", got, len(data))
			}
		})
	}
}
