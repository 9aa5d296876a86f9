package configs

import (
	"runtime"
	"strings"
	"testing"
)

// A file costs no more memory than four times its size and 16 MiB, at the limits too.
func TestMemory(t *testing.T) {
	const n = maxValues - 20
	repeat := func(unit string, n int) string { return strings.Repeat(unit, min(n, maxFile/len(unit)-2)) }
	number := func(format string, n int) string {
		var b strings.Builder
		for i := 0; i < n && b.Len() < maxFile-200; i++ {
			b.WriteString(strings.ReplaceAll(format, "%", strings.ToLower(decimal(float64(i)))))
		}
		return b.String()
	}
	for _, c := range []struct{ name, source string }{
		{"keys", number("%=1\n", n)},
		{"escaped keys", number("\"\\t%\"=1\n", n)},
		{"inline table", "x={" + number("%=1,", n) + "}"},
		{"deep keys", number("a.b.c.d.e.f.g%=1\n", n/7)},
		{"deep tables", number("[a%.b.c.d.e.f.g.h]\n", n/8)},
		{"long deep tables", number("[a%."+strings.Repeat("a", 100)+".c.d.e.f.g.h]\n", n/8)},
		{"list", "x=[" + repeat("1,", n) + "]"},
		{"lists", "x=[" + repeat("[],", n) + "]"},
		{"tables", "x=[" + repeat("{},", n) + "]"},
		{"nested lists", repeat("[", maxFile)},
		{"one text", "x=\"" + repeat("a", maxFile) + "\""},
		{"one escaped text", "x=\"" + repeat("\\t", maxFile) + "\""},
		{"experiments", repeat("[[experiment]]\n", n)},
		{"lines", repeat("\n", maxFile) + "x"},
		{"comments", repeat("#\n", maxFile) + "x"},
		{"shared defaults", "[defaults]\nlevels=[\"drop\"]\nbudget.drop=0.25\nseeds=[" + number("%,", maxSeeds) + "]\n" +
			number("[[experiment]]\nname=\"%\"\n", maxExperiments)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Parse([]byte(c.source), "x")
			runtime.ReadMemStats(&after)
			if (err == nil) != (c.name == "shared defaults") {
				t.Error(err)
			}
			allocated := after.TotalAlloc - before.TotalAlloc
			t.Logf("%d KiB cost %.1f MiB", len(c.source)>>10, float64(allocated)/(1<<20))
			if limit := uint64(4*len(c.source) + 16<<20); allocated > limit {
				t.Errorf("%d bytes allocated, more than %d", allocated, limit)
			}
		})
	}
}
