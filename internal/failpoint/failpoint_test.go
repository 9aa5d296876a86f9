package failpoint

import "testing"

func TestParse(t *testing.T) {
	for _, test := range []struct {
		text  string
		times int64 // 0: refused
	}{
		{"batch.committed", 1},
		{"batch.written:3", 3},
		{"file.renamed:2:hang", 2},
		{"file.committed", 0},
		{"batch.renamed", 0},
		{"batch", 0},
		{"nothing.written", 0},
		{"batch.written:0", 0},
		{"batch.written:x", 0},
		{"batch.written:1:stop", 0},
		{"batch.written:1:hang:2", 0},
	} {
		p, err := parse(test.text)
		if (err == nil) != (test.times > 0) || err == nil && p.left.Load() != test.times {
			t.Errorf("%s: %+v, %v", test.text, p, err)
		}
	}
}

// A point acts once, the given time it is passed.
func TestPass(t *testing.T) {
	p, err := parse("batch.committed:3")
	if err != nil {
		t.Fatal(err)
	}
	acted := 0
	p.act = func() { acted++ }
	for i, want := range []int{0, 0, 1, 1} {
		p.pass(Batch, Written)
		p.pass(Space, Committed)
		p.pass(Batch, Committed)
		if acted != want {
			t.Errorf("after %d passes: acted %d times, want %d", i+1, acted, want)
		}
	}
}

func TestUnarmed(t *testing.T) {
	if armed != nil {
		t.Skip(Variable + " is set")
	}
	if n := testing.AllocsPerRun(100, func() { At(Batch, Committed) }); n != 0 {
		t.Errorf("a point that is not armed allocates %v times", n)
	}
}
